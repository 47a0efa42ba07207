import pytest

from llm_providers.engine.announce import announce, other_models_seen, withdraw
from llm_providers.health.discovery import discover
from llm_providers.jobs import discover_all_models
from llm_providers.models import Provider, ServedModel
from llm_providers.routing.keeper import read_snapshot
from tests.fakes.behaviour import Fault
from tests.fakes.openai import FakeOpenAI

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def fake():
    with FakeOpenAI() as server:
        yield server


@pytest.fixture
def localai(fake):
    return Provider.objects.create(name="localai", kind="openai_compatible", base_url=fake.base_url, is_local=True)


def offered():
    return set(ServedModel.objects.filter(missing_since=None).values_list("name", flat=True))


def test_what_a_provider_lists_is_on_record_with_what_it_can_do(fake, localai):
    discover(localai)

    localai.refresh_from_db()
    assert (localai.health, localai.health_text) == ("up", "")
    assert offered() == set(fake.model_names)
    assert ServedModel.objects.get(name="text-embedding-3-small").capabilities == ["embed"]


def test_a_model_that_is_gone_is_marked_and_comes_back(fake, localai):
    discover(localai)
    everything, fake.models = fake.models, fake.models[:1]
    discover(localai)
    fewer = offered()
    fake.models = everything
    discover(localai)

    assert fewer == {"gpt-6-luna"}
    assert offered() == set(fake.model_names)
    assert ServedModel.objects.count() == 2


def test_what_was_found_at_an_address_that_has_changed_since_is_not_kept(fake, localai):
    stale = Provider.objects.get(name="localai")
    Provider.objects.update(base_url="", health="absent", health_text="The engine was stopped.")

    discover(stale)

    localai.refresh_from_db()
    assert (localai.health, localai.health_text, offered()) == ("absent", "The engine was stopped.", set())


def test_a_wrong_key_names_the_variable_to_change(fake, localai, settings):
    settings.SECRET_ENVIRONMENT = {"LOCALAI_API_KEY": "wrong"}
    fake.fault = Fault.UNAUTHORISED
    Provider.objects.update(secret_env="LOCALAI_API_KEY")

    discover(Provider.objects.get())

    localai.refresh_from_db()
    assert localai.health_text.endswith(": check LOCALAI_API_KEY.")


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault.REFUSE, "Nothing answers at http://127.0.0.1:"),
        (Fault.UNAUTHORISED, ""),
        (Fault.SERVER_ERROR, ""),
        (Fault.PAGE, ""),
    ],
)
def test_a_provider_that_does_not_answer_well_is_down_and_says_why(fake, localai, fault, said):
    discover(localai)
    fake.fault = fault

    discover(localai)

    localai.refresh_from_db()
    assert localai.health == "down"
    assert localai.health_text
    assert said in localai.health_text
    assert offered() == set(fake.model_names)


def test_one_provider_that_cannot_be_asked_does_not_hold_up_the_others(localai, caplog):
    Provider.objects.create(name="a-gone", kind="no_such_kind", base_url="http://localhost:1/v1", priority=1)

    discover_all_models()

    localai.refresh_from_db()
    assert localai.health == "up"
    assert "a-gone could not be asked" in caplog.text
    assert "Traceback" in caplog.text


def test_a_port_where_nobody_ever_answered_is_not_down(localai, fake):
    fake.fault = Fault.REFUSE

    discover(localai)

    localai.refresh_from_db()
    assert (localai.health, localai.health_text) == ("absent", f"Nothing answers at {fake.base_url} yet.")


def test_a_provider_without_its_key_is_never_called_and_says_what_to_set(fake, settings):
    settings.SECRET_ENVIRONMENT = {"ANTHROPIC_API_KEY": ""}
    claude = Provider.objects.create(
        name="claude", kind="anthropic", base_url=fake.origin, secret_env="ANTHROPIC_API_KEY"
    )

    discover(claude)

    claude.refresh_from_db()
    assert (claude.health, claude.health_text) == ("absent", "Set ANTHROPIC_API_KEY to use it.")
    assert fake.connections_seen == 0


def test_a_provider_without_an_address_says_so():
    nowhere = Provider.objects.create(name="nowhere", kind="openai_compatible", is_local=True)

    discover(nowhere)

    nowhere.refresh_from_db()
    assert nowhere.health_text == "It has no address yet."


def test_the_engine_stays_what_its_own_process_announced(fake):
    announce(base_url=fake.base_url, model="built-in", is_test=True, context_length=8192, sees_images=False)

    discover(Provider.objects.get(name="engine"))

    (entry,) = read_snapshot().providers
    assert [(model.name, model.is_test) for model in entry.models] == [("built-in", True)]
    assert Provider.objects.get().health == "up"


def test_an_engine_that_is_withdrawn_offers_nothing(fake):
    announce(base_url=fake.base_url, model="built-in", is_test=True, context_length=None, sees_images=False)

    withdraw(problem="models/broken.gguf can't be loaded.")

    (entry,) = read_snapshot().providers
    assert (entry.base_url, entry.models) == ("", ())
    assert Provider.objects.get().health_text == "models/broken.gguf can't be loaded."


def test_the_engine_is_told_whether_a_real_model_was_ever_seen(fake, localai):
    before = other_models_seen()
    discover(localai)
    ServedModel.objects.update(missing_since="2026-11-23T00:00:00Z")

    assert not before
    assert other_models_seen()
