"""Whatever goes wrong at whichever system: the next one answers, and the record says who did and why."""

import pytest
from channels.db import database_sync_to_async

from llm_providers.client import UnifiedLLMClient
from llm_providers.models import Attempt, Request
from llm_providers.words import trail_sentences
from tests.fakes.behaviour import Answer, Fault
from tests.fakes.ollama import FakeOllama
from tests.fakes.openai import FakeOpenAI
from tests.llm_providers.adapters.pairs import PAIRS
from tests.llm_providers.requests import ask, serve

pytestmark = pytest.mark.django_db(transaction=True)

# By the reason that the trail gives.
FAULTS = {
    Fault.REFUSE: "refused",
    Fault.RESET: "refused",
    Fault.HANG: "slow",
    Fault.SLOW_FIRST_BYTE: "slow",
    Fault.CUT_BEFORE_CONTENT: "cut",
    Fault.CUT_AFTER_CONTENT: "cut",
    Fault.STALL: "stall",
    Fault.MALFORMED: "malformed",
    Fault.NO_TERMINAL_MARKER: "cut",
    Fault.ERROR_FRAME: "server_error",
    Fault.EMPTY: "empty",
    Fault.UNAUTHORISED: "config",
    Fault.MODEL_MISSING: "model_missing",
    Fault.PATH_MISSING: "config",
    Fault.REQUEST_TIMEOUT: "slow",
    Fault.RATE_LIMITED: "rate_limited",
    Fault.RATE_LIMITED_SECONDS: "rate_limited",
    Fault.SERVER_ERROR: "server_error",
    Fault.UNAVAILABLE: "server_error",
    Fault.BUSY: "busy",
    Fault.OVERLOADED: "overloaded",
    Fault.PAGE: "config",
    Fault.BAD_GATEWAY_PAGE: "server_error",
}
CASES = [
    pytest.param(pair, fault, id=f"{pair.name}-{fault}")
    for pair in PAIRS
    for fault in FAULTS
    if fault not in pair.lacks
]


@pytest.fixture(scope="module")
def second():
    with FakeOpenAI(reply=Answer(words=("from", " the second"))) as fake:
        yield fake


@pytest.mark.parametrize(("pair", "fault"), CASES)
async def test_the_next_one_answers_and_the_record_says_why(second, pair, fault):
    with pair.fake() as first:
        await database_sync_to_async(declare)(pair, first, second)
        first.fault = fault

        answered = await UnifiedLLMClient().complete(ask())

    request = await Request.objects.aget()
    failed, served = [attempt async for attempt in Attempt.objects.order_by("ordinal")]
    reason = FAULTS[fault]
    assert answered.text == "from the second"
    assert (request.served_by, request.fallback_reason) == ("second/m", f"first={reason}")
    assert request.trail[0] | {"ms": 0} == {"t": "first/m", "failed": reason, "ms": 0}
    assert trail_sentences(request.trail)[0].startswith("first/m failed after ")
    assert (failed.provider, failed.event != "", served.provider, served.state) == ("first", True, "second", "ok")


def declare(pair, first, second):
    quick = {"settings": {"stall_timeout": 0.2}, "timeout_s": 0.2}
    serve("first", first.base_url, kind=pair.kind, priority=1, **quick)
    if isinstance(first, FakeOllama):
        first.loaded = ("m",)  # else a silent one would be waited for
    serve("second", second.base_url, priority=2)
