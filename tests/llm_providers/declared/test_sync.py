"""The rows follow the file, and an operator's switch outlives it."""

import pytest
from django.core.management import CommandError, call_command

from llm_providers.checks import check_providers_file
from llm_providers.declared.current import declaration, literal_key
from llm_providers.models import FailoverSettings, Provider
from llm_providers.routing.keeper import read_snapshot
from llm_providers.sync import sync

pytestmark = pytest.mark.django_db


@pytest.fixture
def declare(tmp_path, settings):
    path = tmp_path / "llm_providers.yaml"
    settings.LLM_PROVIDERS_FILE = path

    def declare(text):
        path.write_text(text)
        return sync(declaration())

    return declare


def test_what_is_declared_is_there_and_a_second_time_nothing_changes(declare):
    first = declare("providers: {ollama: {priority: 7}}\nfailover: {max_retries: 4}\n")
    second = declare("providers: {ollama: {priority: 7}}\nfailover: {max_retries: 4}\n")

    row = Provider.objects.get(name="ollama")
    assert (first.added, second.added, second.changed) == (("ollama",), (), ())
    assert (row.kind, row.priority, row.is_local, row.is_declared, row.version) == ("ollama", 7, True, True, 1)
    assert FailoverSettings.objects.get().max_retries == 4


def test_a_file_that_says_nothing_of_breakers_leaves_each_provider_what_suits_it(declare):
    declare("providers: {ollama: {}, claude: {}}\nfailover: {max_retries: 1}")

    known = read_snapshot()
    assert [known.by_name[name].limits.threshold for name in ("ollama", "claude")] == [2, 5]
    assert known.failover.max_retries == 1


def test_what_was_toggled_stays_and_is_told_to_differ(declare):
    declare("providers: {ollama: {enabled: true}}")
    Provider.objects.update(enabled_override=False)

    again = declare("providers: {ollama: {enabled: true, priority: 3}}")

    row = Provider.objects.get()
    assert (again.changed, again.differing) == (("ollama",), ("ollama",))
    assert (row.is_on, row.enabled, row.priority) == (False, True, 3)


def test_what_is_gone_from_the_file_is_switched_off_and_kept(declare):
    Provider.objects.create(name="by-hand", kind="openai_compatible", base_url="http://h:1/v1")
    declare("providers: {ollama: {}}")

    gone = declare("# nothing\n")

    assert gone.switched_off == ("ollama",)
    assert dict(Provider.objects.values_list("name", "enabled")) == {"by-hand": True, "ollama": False}


def test_a_wrong_file_changes_nothing_and_is_told_by_command_and_check(declare, settings):
    declare("providers: {ollama: {priority: 3}}")
    settings.LLM_PROVIDERS_FILE.write_text("providers:\n  ollama:\n    priority: first\n")

    with pytest.raises(CommandError, match=r"line 3: `priority: first` is not a whole number"):
        call_command("sync_providers")

    (told,) = check_providers_file()
    assert told.id == "llm.E010"
    assert Provider.objects.get().priority == 3


def test_a_key_in_the_file_is_read_from_there_alone(declare, settings):
    declare("providers: {claude: {api_key: sk-ant-1}}")
    before = literal_key("claude")
    declare("providers: {claude: {api_key: sk-ant-2}}")

    assert (before, literal_key("claude"), literal_key("openai")) == ("sk-ant-1", "sk-ant-2", None)
    assert [told.id for told in check_providers_file()] == ["llm.W012"]
    assert "sk-ant" not in str(list(Provider.objects.values()))
