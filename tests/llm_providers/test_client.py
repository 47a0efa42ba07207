import asyncio
from contextlib import aclosing

import pytest
from channels.db import database_sync_to_async

from llm_providers.adapters.openai_compatible import OpenAICompatibleAdapter
from llm_providers.client import UnifiedLLMClient
from llm_providers.errors import (
    AllTargetsFailed,
    BadRequest,
    ContextTooLong,
    DeadlineReached,
    PrivacyBlocked,
    PrivacyViolation,
    StreamBroken,
)
from llm_providers.models import Attempt, Provider, Request, RequestContent, ServedModel
from llm_providers.routing.connections import connection_to
from llm_providers.routing.keeper import read_snapshot, snapshot_keeper
from llm_providers.types import (
    Answered,
    Began,
    ChatCall,
    EmbedRequest,
    FellOver,
    Principal,
    PrivacyLabel,
    Purpose,
    Sampling,
    Serving,
    TextDelta,
)
from tests.fakes.behaviour import Answer, Fault
from tests.fakes.openai import FakeOpenAI
from tests.llm_providers.requests import aserve, ask, events_of, serve

pytestmark = pytest.mark.django_db(transaction=True)
SILENT_FAULTS = [
    Fault.REFUSE,
    Fault.RESET,
    Fault.CUT_BEFORE_CONTENT,
    Fault.EMPTY,
    Fault.UNAUTHORISED,
    Fault.MODEL_MISSING,
    Fault.RATE_LIMITED_SECONDS,
    Fault.QUOTA,
    Fault.SERVER_ERROR,
    Fault.BAD_GATEWAY_PAGE,
    Fault.LOADING,
    Fault.OVERLOADED,
    Fault.PAGE,
]
LOUD_FAULTS = [Fault.CUT_AFTER_CONTENT, Fault.MALFORMED, Fault.ERROR_FRAME_THEN_DONE, Fault.NO_TERMINAL_MARKER]


@pytest.fixture
def first():
    with FakeOpenAI() as fake:
        yield fake


@pytest.fixture
def second():
    with FakeOpenAI(reply=Answer(words=("from", " the second"))) as fake:
        yield fake


@pytest.fixture
def both(first, second):
    """The first is asked before the second."""
    serve("ollama", first.base_url, priority=1)
    serve("localai", second.base_url, priority=2)


async def test_an_answer_is_told_in_order_and_is_on_record_when_it_ends(both):
    events = await events_of(ask("Say hello."))

    request = await Request.objects.aget()
    content = await RequestContent.objects.aget()
    attempt = await Attempt.objects.aget()
    assert [type(event) for event in events] == [Began, Serving, *[TextDelta] * 5, Answered]
    assert events[-1].text == "Grüße from the fake 🦙."
    assert (request.state, request.served_by, request.is_local) == ("ok", "ollama/m", True)
    assert (request.input_tokens, request.output_tokens, request.usage_source) == (17, 5, "reported")
    assert content.prompt == [{"role": "user", "text": "Say hello."}]
    assert content.answer == events[-1].text
    assert (attempt.ordinal, attempt.state, attempt.provider_request_id) == (1, "ok", "req_7f3a9c5e1b")
    assert request.trail[:2] == [
        {"t": "ollama/m", "ok": True, "ttft_ms": attempt.ttft_ms},
        {"t": "localai/m", "spare": True},
    ]


async def test_the_prompt_is_on_disk_before_the_first_byte_goes_out(both, first):
    """The fake holds its first byte back until we have looked."""
    first.fault = Fault.HANG
    async with aclosing(UnifiedLLMClient().stream(ask("remember me"))) as events:
        assert isinstance(await anext(events), Began)

        assert first.requests == []
        assert (await RequestContent.objects.aget()).prompt[0]["text"] == "remember me"
        assert (await Attempt.objects.aget()).state == "sent"


@pytest.mark.parametrize("fault", SILENT_FAULTS)
async def test_a_fault_before_content_is_answered_by_the_next(both, first, fault):
    first.fault = fault

    events = await events_of(ask())

    request = await Request.objects.aget()
    failed, answered = [attempt async for attempt in Attempt.objects.order_by("ordinal")]
    assert events[-1].text == "from the second"
    assert any(isinstance(event, FellOver) and event.target == "ollama/m" for event in events)
    assert request.served_by == "localai/m"
    assert request.fallback_reason.startswith("ollama=")
    assert (failed.state, answered.state) == ("failed", "ok")
    assert failed.event


@pytest.mark.parametrize("fault", LOUD_FAULTS)
async def test_a_stream_that_breaks_after_content_is_never_switched_silently(both, first, second, fault):
    first.fault = fault
    seen = []

    with pytest.raises(StreamBroken) as failure:
        await events_of(ask(), into=seen)

    request = await Request.objects.aget()
    content = await RequestContent.objects.aget()
    assert second.requests == []
    assert failure.value.request_id == request.public_id
    assert request.state == "partial"
    assert content.answer == "".join(event.text for event in seen if isinstance(event, TextDelta))
    assert content.answer.startswith("Grüße from the")
    assert request.output_tokens > 0


@pytest.mark.parametrize("fault", LOUD_FAULTS)
async def test_a_broken_answer_that_nobody_saw_is_answered_whole_by_the_next(both, first, fault):
    first.fault = fault

    answered = await UnifiedLLMClient().complete(ask())

    assert answered.text == "from the second"
    assert (await Request.objects.aget()).state == "ok"


async def test_a_complaint_stays_with_its_attempt_and_out_of_the_trail(both, first):
    first.fault = Fault.SERVER_ERROR

    await events_of(ask())

    failed = await Attempt.objects.aget(ordinal=1)
    request = await Request.objects.aget()
    assert failed.error_text == "The server had an error while processing your request."
    assert request.trail[0] == {"t": "ollama/m", "failed": "server_error", "ms": failed.total_ms}


async def test_nothing_of_an_unreadable_piece_is_kept(both, first):
    first.fault = Fault.MALFORMED

    await UnifiedLLMClient().complete(ask(privacy=PrivacyLabel.PRIVATE))

    failed = await Attempt.objects.aget(ordinal=1)
    assert failed.error_text.startswith("not a chunk of an answer: 63 bytes, unreadable from character ")
    assert "chatcmpl-x" not in failed.error_text


async def test_our_own_bad_request_reaches_nobody_else(both, first, second):
    first.fault = Fault.BAD_REQUEST

    with pytest.raises(BadRequest):
        await events_of(ask())

    assert second.requests == []
    assert (await Request.objects.aget()).state == "failed"


async def test_a_call_that_is_refused_for_one_parameter_is_made_once_more_without_it(both, first, second):
    first.unsupported = frozenset({"max_tokens"})

    answered = await UnifiedLLMClient().complete(ask(sampling=Sampling(max_tokens=9)))

    request = await Request.objects.aget()
    attempts = [(attempt.state, attempt.event) async for attempt in Attempt.objects.order_by("ordinal")]
    assert (answered.provider, second.requests) == ("ollama", [])
    assert ["max_tokens" in call.json() for call in first.requests] == [True, False]
    assert attempts == [("failed", "parameter_rejected"), ("ok", "")]
    assert request.fallback_reason == ""
    assert [entry.get("ok") for entry in request.trail] == [True, None, None]


async def test_what_a_model_refused_is_not_sent_again(both, first):
    first.unsupported = frozenset({"max_tokens"})
    limited = ask(sampling=Sampling(max_tokens=9))
    await UnifiedLLMClient().complete(limited)

    await UnifiedLLMClient().complete(limited)

    assert len(first.requests) == 3


async def test_a_call_that_is_refused_once_more_stays_with_its_caller(both, first, second):
    first.unsupported = frozenset({"max_tokens", "temperature"})

    with pytest.raises(BadRequest, match="temperature"):
        await UnifiedLLMClient().complete(ask(sampling=Sampling(max_tokens=9, temperature=0.5)))

    assert (len(first.requests), second.requests) == (2, [])


@pytest.fixture
def third():
    with FakeOpenAI(reply=Answer(words=("from", " the third"))) as fake:
        yield fake


@pytest.mark.parametrize("length", [None, 8193])
async def test_a_text_that_is_too_long_goes_on_to_longer_contexts_only(both, first, second, third, length):
    first.fault = Fault.CONTEXT_EXCEEDED  # which says 8192
    await aserve("third", third.base_url, priority=3)
    await ServedModel.objects.filter(provider__name="localai").aupdate(context_length=8192)
    await ServedModel.objects.filter(provider__name="third").aupdate(context_length=length)

    answered = await UnifiedLLMClient().complete(ask())

    request = await Request.objects.aget()
    assert answered.text == "from the third"
    assert second.requests == []
    assert request.fallback_reason == "ollama=context_length,localai=context_length"


async def test_a_text_that_is_too_long_for_every_context_says_so(both, first, second):
    first.fault = Fault.CONTEXT_EXCEEDED
    await ServedModel.objects.filter(provider__name="localai").aupdate(context_length=4096)

    with pytest.raises(ContextTooLong):
        await UnifiedLLMClient().complete(ask())

    assert second.requests == []


async def test_another_failure_goes_on_to_shorter_contexts_too(both, first):
    first.fault = Fault.SERVER_ERROR
    await ServedModel.objects.filter(provider__name="localai").aupdate(context_length=4096)

    assert (await UnifiedLLMClient().complete(ask())).text == "from the second"


async def test_nobody_left_names_every_candidate_and_its_reason(both, first, second):
    first.fault, second.fault = Fault.REFUSE, Fault.SERVER_ERROR

    with pytest.raises(AllTargetsFailed, match=r"ollama/m: the connection was refused; localai/m: the server"):
        await events_of(ask())

    request = await Request.objects.aget()
    assert [entry.get("failed") for entry in request.trail[:2]] == ["refused", "server_error"]


async def test_a_wrong_key_and_an_unknown_model_name_the_setting_to_change(both, first, second):
    await Provider.objects.filter(name="ollama").aupdate(secret_env="PATH")  # any that is set
    first.fault, second.fault = Fault.UNAUTHORISED, Fault.MODEL_MISSING

    told = r"ollama/m: .* \(check PATH\); localai/m: it offers no such model \(check the model of localai\)"
    with pytest.raises(AllTargetsFailed, match=told):
        await events_of(ask())


async def test_private_texts_never_reach_a_remote_provider(first):
    await aserve("openai", first.base_url, is_local=False)

    with pytest.raises(PrivacyBlocked, match="private"):
        await events_of(ask(privacy=PrivacyLabel.PRIVATE))

    request = await Request.objects.aget()
    assert first.requests == []
    assert request.trail[0] == {"t": "openai", "skip": "privacy"}


async def test_who_is_passed_over_behind_the_one_that_served_is_no_reason(first):
    await aserve("ollama", first.base_url)
    await aserve("openai", "http://localhost:1/v1", is_local=False, priority=2)

    await events_of(ask(privacy=PrivacyLabel.PRIVATE))

    request = await Request.objects.aget()
    assert request.fallback_reason == ""
    assert [entry.get("t") for entry in request.trail] == ["ollama/m", "openai", None]


async def test_the_guard_at_the_socket_stops_what_routing_should_have_stopped(first):
    await aserve("openai", first.base_url, is_local=False)
    entry = (await database_sync_to_async(read_snapshot)()).providers[0]
    adapter = OpenAICompatibleAdapter(connection_to(entry))

    with pytest.raises(PrivacyViolation):
        adapter.chat(ChatCall("m", (), PrivacyLabel.PRIVATE))

    assert first.connections_seen == 0


async def test_a_provider_whose_key_is_missing_is_passed_over_without_a_call(both, first, second):
    await Provider.objects.filter(name="ollama").aupdate(secret_env="NO_SUCH_KEY_IS_SET")
    snapshot_keeper().mark_stale()

    events = await events_of(ask())

    assert first.requests == []
    assert events[-1].provider == "localai"
    assert (await Request.objects.aget()).trail[0] == {"t": "ollama/m", "skip": "config"}


async def test_a_silent_provider_is_waited_for_as_long_as_its_time_out_says(first, second):
    await aserve("ollama", first.base_url, timeout_s=0.2)
    await aserve("localai", second.base_url, priority=2)
    first.fault = Fault.HANG

    events = await events_of(ask())

    assert events[-1].provider == "localai"
    assert (await Attempt.objects.aget(ordinal=1)).event == "slow"
    assert first.requests[0].closed.wait(2)


async def test_the_deadline_ends_the_whole_chain(both, first):
    first.fault = Fault.HANG

    with pytest.raises(DeadlineReached):
        await events_of(ask(deadline_s=0.2))

    assert (await Request.objects.aget()).trail[0]["failed"] == "deadline"


async def test_closing_the_answer_closes_the_provider_and_keeps_what_came(first):
    first.reply = Answer(words=("word ",), repeat=10_000, chunk_delay_s=0.005)
    await aserve("ollama", first.base_url)
    async with aclosing(UnifiedLLMClient().stream(ask())) as events:
        async for event in events:
            if isinstance(event, TextDelta):
                break

    request = await Request.objects.aget()
    assert first.requests[0].closed.wait(1)
    assert request.state == "cancelled"
    assert (await RequestContent.objects.aget()).answer.startswith("word ")
    assert (await Attempt.objects.aget()).state == "cancelled"


async def test_missing_usage_is_estimated_and_says_so(both, first):
    first.fault = Fault.NO_USAGE

    answered = (await events_of(ask()))[-1]

    assert answered.usage_source == "estimated"
    assert answered.usage.input_tokens > 0
    assert answered.usage.output_tokens > 0


async def test_vectors_take_the_same_way_with_the_same_record(both, first):
    first.fault = Fault.SERVER_ERROR
    request = EmbedRequest(("one", "two"), Purpose.EMBEDDING, Principal.system(), PrivacyLabel.PRIVATE)

    embeddings, answered = await UnifiedLLMClient().embed(request)

    assert len(embeddings.vectors) == 2
    assert answered.provider == "localai"
    assert (await RequestContent.objects.aget()).prompt == ["one", "two"]


async def test_an_unknown_model_is_on_record_too(both):
    with pytest.raises(BadRequest, match="No provider offers"):
        await events_of(ask(wanted_model="nope"))

    assert (await Request.objects.aget()).state == "failed"


async def test_the_healthy_path_reads_no_configuration(both):
    await events_of(ask())
    await asyncio.sleep(1.2)  # the watcher's first look at a topic counts as a change of it
    known = await snapshot_keeper().current()

    await events_of(ask())

    assert await snapshot_keeper().current() is known
