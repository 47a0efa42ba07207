"""Each variable and each key of the project's first document changes what happens."""

from datetime import timedelta

import pytest
from channels.db import database_sync_to_async
from django.utils.timezone import now

from llm_providers.client import UnifiedLLMClient
from llm_providers.declared.file import read_declaration
from llm_providers.errors import AllTargetsFailed
from llm_providers.health.discovery import discover
from llm_providers.models import Breaker, Provider
from llm_providers.routing.keeper import configuration_changed
from llm_providers.sync import sync
from tests.fakes.behaviour import Fault
from tests.fakes.localai import FakeLocalAI
from tests.fakes.ollama import FakeOllama
from tests.llm_providers.declared.test_file import DOCUMENT
from tests.llm_providers.requests import ask

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ollama():
    with FakeOllama() as fake:
        yield fake


@pytest.fixture
def localai():
    with FakeLocalAI() as fake:
        yield fake


@pytest.fixture
def start(ollama, localai, settings, tmp_path):
    """Starts with the document's own file, changed in places, and these variables beside its own."""

    def start(*changes, **variables):
        known = {"OLLAMA_HOST": ollama.base_url, "LOCALAI_BASE_URL": localai.base_url, **variables}
        settings.SECRET_ENVIRONMENT = known
        text = DOCUMENT
        for before, after in changes:
            assert before in text
            text = text.replace(before, after, 1)
        path = tmp_path / "llm_providers.yaml"
        path.write_text(text)
        sync(read_declaration(path, variables=known))
        for provider in Provider.objects.filter(is_local=True):
            discover(provider)
        ollama.requests.clear()
        localai.requests.clear()

    return database_sync_to_async(start)


async def answered(wanted="auto"):
    return await UnifiedLLMClient().complete(ask(wanted_model=wanted))


async def trail_of_failure(wanted):
    with pytest.raises(AllTargetsFailed) as raised:
        await answered(wanted)
    return raised.value.trail


async def test_ollama_host_is_where_the_question_goes(start, ollama):
    await start()

    assert (await answered()).provider == "ollama"
    assert ollama.requests[-1].path == "/api/chat"


async def test_ollama_model_is_what_answers(start, ollama):
    await start(OLLAMA_MODEL="nomic-embed-text")
    first = await Provider.objects.aget(name="ollama")
    await start(OLLAMA_MODEL="gemma3:1b")

    assert first.default_model == "nomic-embed-text"
    assert (await answered()).model == "gemma3:1b"


async def test_localai_base_url_and_key_are_used_as_given(start, ollama, localai):
    ollama.fault = Fault.REFUSE
    await start(LOCALAI_API_KEY="not-needed")

    assert (await answered()).provider == "localai"
    assert localai.requests[-1].headers["authorization"] == "Bearer not-needed"


@pytest.mark.parametrize(("name", "variable"), [("claude", "ANTHROPIC_API_KEY"), ("openai", "OPENAI_API_KEY")])
async def test_a_key_decides_whether_a_paid_provider_is_called(start, name, variable, settings):
    await start()
    unset = await trail_of_failure(name)
    await Provider.objects.filter(name=name).aupdate(base_url="http://127.0.0.1:1")
    settings.SECRET_ENVIRONMENT = {variable: "sk-1"}
    await database_sync_to_async(configuration_changed)()

    assert unset[0]["skip"] == "config"
    assert (await trail_of_failure(name))[0]["failed"] == "refused"


async def test_failover_switched_off_in_the_environment_asks_the_default_alone(start, ollama, localai, settings):
    await start()
    ollama.fault = Fault.REFUSE
    settings.LLM_FAILOVER_ENABLED = False

    assert [entry.get("t") for entry in await trail_of_failure("auto")] == ["ollama/gemma3:1b", None]
    assert localai.requests == []


async def test_failover_switched_off_in_the_file_does_the_same_until_the_environment_says_otherwise(
    start, ollama, settings
):
    await start(("failover:\n  enabled: true", "failover:\n  enabled: false"))
    ollama.fault = Fault.REFUSE
    settings.LLM_FAILOVER_ENABLED = None
    assert len(await trail_of_failure("auto")) == 2

    settings.LLM_FAILOVER_ENABLED = True

    assert (await answered()).provider == "localai"


async def test_the_default_provider_is_asked_first(start, settings):
    await start()
    settings.LLM_DEFAULT_PROVIDER = "localai"

    assert (await answered()).provider == "localai"


async def test_the_fallback_order_is_the_whole_chain(start, ollama, settings):
    await start()
    settings.LLM_FALLBACK_ORDER = ["ollama", "claude", "openai"]
    ollama.fault = Fault.REFUSE

    trail = await trail_of_failure("auto")

    assert [entry["t"].partition("/")[0] for entry in trail[:-1]] == ["ollama", "claude", "openai"]


async def test_priority_orders_where_no_order_is_set(start, settings):
    await start(("priority: 2", "priority: 0"))
    settings.LLM_DEFAULT_PROVIDER = "nobody"

    assert (await answered()).provider == "localai"


async def test_a_provider_that_is_not_enabled_is_passed_over(start):
    await start(("enabled: true", "enabled: false"))

    assert (await answered()).provider == "localai"


async def test_a_time_out_is_how_long_a_loaded_model_is_waited_for(start, ollama):
    await start(("timeout: 60", "timeout: 0.2"))
    ollama.loaded = ("gemma3:1b",)
    ollama.fault, ollama.first_byte_delay_s = Fault.SLOW_FIRST_BYTE, 1.0

    assert (await answered()).provider == "localai"


@pytest.mark.parametrize(("said", "calls"), [("retry_on_error: false", 1), ("retry_on_error: true", 3)])
async def test_retry_on_error_decides_whether_anybody_is_asked_twice(start, ollama, said, calls):
    await start(("retry_on_error: true", said))
    ollama.fault = Fault.SERVER_ERROR

    await trail_of_failure("ollama")

    assert len([call for call in ollama.requests if call.path == "/api/chat"]) == calls


async def test_max_retries_is_how_often(start, ollama):
    await start(("max_retries: 2", "max_retries: 1"))
    ollama.fault = Fault.SERVER_ERROR

    await trail_of_failure("ollama")

    assert len([call for call in ollama.requests if call.path == "/api/chat"]) == 2


@pytest.mark.parametrize("threshold", [1, 3])
async def test_failure_threshold_is_when_a_breaker_opens(start, ollama, threshold):
    await start(("failure_threshold: 5", f"failure_threshold: {threshold}"), ("max_retries: 2", "max_retries: 0"))
    ollama.fault = Fault.SERVER_ERROR

    for _ in range(5):
        await answered()

    assert len([call for call in ollama.requests if call.path == "/api/chat"]) == threshold


async def test_recovery_timeout_is_how_long_it_stays_open_at_most(start, ollama):
    await start(("recovery_timeout: 300", "recovery_timeout: 2"))
    ollama.fault = Fault.REFUSE

    await answered()

    assert (await Breaker.objects.aget()).open_until - now() < timedelta(seconds=2.4)
