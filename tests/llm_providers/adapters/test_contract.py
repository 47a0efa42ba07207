"""What holds for every adapter that chats, whatever its wire looks like."""

import asyncio
import re
from contextlib import aclosing
from dataclasses import replace

import pytest

from llm_providers.adapters.base import Adapter
from llm_providers.adapters.registry import adapters
from llm_providers.errors import Event, PrivacyViolation, ProviderFailure
from llm_providers.types import (
    AdapterEvent,
    AnswerOrigin,
    Finished,
    FinishReason,
    PrivacyLabel,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from tests.fakes.behaviour import Answer, FakeToolCall, Fault
from tests.fakes.server import FakeModelServer
from tests.llm_providers.adapters.calls import (
    CHAT,
    EMBED,
    chat,
    collect_into,
    connection,
    events_of,
    failure_of,
    reasoning_in,
    text_in,
    usages_in,
)
from tests.llm_providers.adapters.pairs import Pair

REFUSALS = {
    Fault.REFUSE: (Event.REFUSED, None),
    Fault.RESET: (Event.REFUSED, None),
    Fault.NOT_HTTP: (Event.MISCONFIGURED, None),
    Fault.BAD_REQUEST: (Event.BAD_REQUEST, 400),
    Fault.CONTEXT_EXCEEDED: (Event.CONTEXT_LENGTH, 400),
    Fault.PARAMETER_REJECTED: (Event.PARAMETER_REJECTED, 400),
    Fault.UNAUTHORISED: (Event.UNAUTHORISED, 401),
    Fault.QUOTA_402: (Event.QUOTA, 402),
    Fault.FORBIDDEN: (Event.UNAUTHORISED, 403),
    Fault.MODEL_MISSING: (Event.MODEL_MISSING, 404),
    Fault.PATH_MISSING: (Event.MISCONFIGURED, 404),
    Fault.REQUEST_TIMEOUT: (Event.REQUEST_TIMEOUT, 408),
    Fault.CONFLICT: (Event.CONFLICT, 409),
    Fault.TOO_LARGE: (Event.BAD_REQUEST, 413),
    Fault.UNPROCESSABLE: (Event.BAD_REQUEST, 422),
    Fault.RATE_LIMITED: (Event.RATE_LIMITED, 429),
    Fault.QUOTA: (Event.QUOTA, 429),
    Fault.SERVER_ERROR: (Event.SERVER_ERROR, 500),
    Fault.MODEL_CRASHED: (Event.MODEL_CRASHED, 500),
    Fault.OPAQUE_ERROR: (Event.SERVER_ERROR, 500),
    Fault.BAD_GATEWAY_PAGE: (Event.UNAVAILABLE, 502),
    Fault.UNAVAILABLE: (Event.UNAVAILABLE, 503),
    Fault.LOADING: (Event.LOADING, 503),
    Fault.BUSY: (Event.BUSY, 503),
    Fault.GATEWAY_TIMEOUT: (Event.SERVER_ERROR, 504),
    Fault.OVERLOADED: (Event.OVERLOADED, 529),
    Fault.PAGE: (Event.MISCONFIGURED, 200),
    Fault.REDIRECT: (Event.MISCONFIGURED, 302),
}
BREAKS = {
    Fault.CUT_BEFORE_CONTENT: Event.CUT,
    Fault.CUT_AFTER_CONTENT: Event.CUT,
    Fault.RESET_AFTER_CONTENT: Event.CUT,
    Fault.NO_TERMINAL_MARKER: Event.CUT,
    Fault.NO_FINISH_REASON: Event.CUT,
    Fault.MALFORMED: Event.MALFORMED,
    Fault.ERROR_FRAME: Event.ERROR_FRAME,
    Fault.ERROR_FRAME_THEN_DONE: Event.ERROR_FRAME,
    Fault.CONTEXT_EXCEEDED_FRAME: Event.CONTEXT_LENGTH,
}
WAITS = {Fault.RATE_LIMITED_SECONDS: 3.0, Fault.RATE_LIMITED_MS: 1.5, Fault.BUSY: 1.0, Fault.RATE_LIMITED: None}


def put_fault(pair: Pair, fake: FakeModelServer, fault: Fault) -> None:
    if fault in pair.lacks:
        pytest.skip(f"{pair.name} cannot fail by {fault}")
    fake.fault = fault


class TestAnswers:
    async def test_it_streams_the_text_piece_by_piece(
        self, paired_fake: FakeModelServer, paired_adapter: Adapter
    ) -> None:
        events = await events_of(paired_adapter)

        pieces = [event.text for event in events if isinstance(event, TextDelta)]
        assert pieces == list(paired_fake.reply.words)

    async def test_it_ends_with_the_reason_and_only_once(self, paired_adapter: Adapter) -> None:
        events = await events_of(paired_adapter)

        assert [event for event in events if isinstance(event, Finished)] == [Finished(FinishReason.STOP)]
        assert events[-1] == Finished(FinishReason.STOP)

    async def test_it_tells_the_origin_before_the_content(self, pair: Pair, paired_adapter: Adapter) -> None:
        events = await events_of(paired_adapter)

        assert isinstance(events[0], AnswerOrigin)
        assert events[0].answered_model
        assert bool(events[0].provider_request_id) is pair.tells_request_id

    async def test_it_reports_usage(self, pair: Pair, paired_fake: FakeModelServer, paired_adapter: Adapter) -> None:
        taken, given, cached, _ = paired_fake.reply.usage

        *_, usage = usages_in(await events_of(paired_adapter))

        assert (usage.input_tokens, usage.output_tokens) == (taken, given)
        assert usage.cached_tokens == (cached if pair.counts_cached else None)

    async def test_it_reports_no_usage_where_none_came(
        self, pair: Pair, paired_fake: FakeModelServer, paired_adapter: Adapter
    ) -> None:
        put_fault(pair, paired_fake, Fault.NO_USAGE)

        events = await events_of(paired_adapter)

        assert usages_in(events) == []
        assert events[-1] == Finished(FinishReason.STOP)

    async def test_it_streams_reasoning_apart_from_text(
        self, paired_fake: FakeModelServer, paired_adapter: Adapter
    ) -> None:
        paired_fake.reply = replace(paired_fake.reply, thoughts=("Let me", " think."))

        events = await events_of(paired_adapter)

        assert reasoning_in(events) == "Let me think."
        assert text_in(events) == paired_fake.reply.text

    async def test_it_passes_tool_calls_on_as_they_come(
        self, pair: Pair, paired_fake: FakeModelServer, paired_adapter: Adapter
    ) -> None:
        weather = FakeToolCall("weather", ('{"ci', 'ty":"Wien"}'), id="call_A")
        clock = FakeToolCall("clock", ("{}",), id="call_B")
        paired_fake.reply = Answer(words=(), tool_calls=(weather, clock), finish_reason="tool_calls")

        events = await events_of(paired_adapter)

        pieces = [
            ToolCallDelta(0, "", id="call_A", name="weather"),
            ToolCallDelta(0, '{"ci'),
            ToolCallDelta(0, 'ty":"Wien"}'),
            ToolCallDelta(1, "", id="call_B", name="clock"),
            ToolCallDelta(1, "{}"),
        ]
        whole = [
            ToolCallDelta(0, '{"city":"Wien"}', id="call_A", name="weather"),
            ToolCallDelta(1, "{}", id="call_B", name="clock"),
        ]
        assert [event for event in events if isinstance(event, ToolCallDelta)] == (
            pieces if pair.splits_tool_calls else whole
        )
        assert events[-1] == Finished(FinishReason.TOOL_CALLS)

    async def test_it_says_when_the_answer_hit_its_limit(
        self, paired_fake: FakeModelServer, paired_adapter: Adapter
    ) -> None:
        paired_fake.reply = replace(paired_fake.reply, finish_reason="length")

        events = await events_of(paired_adapter)

        assert events[-1] == Finished(FinishReason.LENGTH)

    async def test_it_takes_an_answer_without_content_as_finished(
        self, pair: Pair, paired_fake: FakeModelServer, paired_adapter: Adapter
    ) -> None:
        put_fault(pair, paired_fake, Fault.EMPTY)

        events = await events_of(paired_adapter)

        assert {type(event) for event in events} == {AnswerOrigin, Usage, Finished}

    @pytest.mark.parametrize("fault", [Fault.SPLIT_CHARACTER, Fault.COMMENTS_AND_CRLF])
    async def test_it_reads_the_same_text_however_it_is_framed(
        self, pair: Pair, paired_fake: FakeModelServer, paired_adapter: Adapter, fault: Fault
    ) -> None:
        put_fault(pair, paired_fake, fault)

        events = await events_of(paired_adapter)

        assert text_in(events) == paired_fake.reply.text

    async def test_it_keeps_simultaneous_answers_apart(
        self, paired_fake: FakeModelServer, paired_adapter: Adapter
    ) -> None:
        paired_fake.reply = replace(paired_fake.reply, chunk_delay_s=0.005)

        answers = await asyncio.gather(*(events_of(paired_adapter) for _ in range(20)))

        assert {text_in(events) for events in answers} == {paired_fake.reply.text}

    async def test_it_uses_the_connection_to_a_remote_server_again(
        self, pair: Pair, paired_fake: FakeModelServer
    ) -> None:
        remote = connection(paired_fake.base_url, is_local=False, accepts_up_to=PrivacyLabel.INTERNAL)
        adapter = adapters()[pair.kind](remote)

        await events_of(adapter, chat(privacy=PrivacyLabel.INTERNAL))
        await events_of(adapter, chat(privacy=PrivacyLabel.INTERNAL))

        assert len({request.connection for request in paired_fake.requests}) == 1


class TestFailures:
    @pytest.mark.parametrize("fault", REFUSALS, ids=str)
    async def test_it_names_what_a_refusal_means(
        self, pair: Pair, paired_fake: FakeModelServer, paired_adapter: Adapter, fault: Fault
    ) -> None:
        put_fault(pair, paired_fake, fault)

        failure = await failure_of(paired_adapter)

        assert (failure.event, failure.http_status) == REFUSALS[fault]
        assert failure.detail

    @pytest.mark.parametrize("fault", BREAKS, ids=str)
    async def test_it_names_what_broke_an_answer(
        self, pair: Pair, paired_fake: FakeModelServer, paired_adapter: Adapter, fault: Fault
    ) -> None:
        put_fault(pair, paired_fake, fault)

        failure = await failure_of(paired_adapter)

        assert failure.event is BREAKS[fault]

    @pytest.mark.parametrize("fault", [Fault.CONTEXT_EXCEEDED, Fault.CONTEXT_EXCEEDED_FRAME], ids=str)
    async def test_it_passes_on_how_long_a_context_may_be(
        self, pair: Pair, paired_fake: FakeModelServer, paired_adapter: Adapter, fault: Fault
    ) -> None:
        put_fault(pair, paired_fake, fault)

        failure = await failure_of(paired_adapter)

        assert failure.context_limit == (8192 if pair.tells_context_limit else None)

    async def test_it_keeps_the_shape_of_what_it_could_not_read_and_not_the_text(
        self, pair: Pair, paired_fake: FakeModelServer, paired_adapter: Adapter
    ) -> None:
        put_fault(pair, paired_fake, Fault.MALFORMED)

        failure = await failure_of(paired_adapter)

        assert re.search(r"\d+ bytes, unreadable from character \d+ on \([a-z-]+/[a-z-]+\)$", failure.detail)

    async def test_it_hands_out_what_came_before_the_break(
        self, paired_fake: FakeModelServer, paired_adapter: Adapter
    ) -> None:
        paired_fake.fault = Fault.CUT_AFTER_CONTENT
        seen: list[AdapterEvent] = []

        with pytest.raises(ProviderFailure):
            await collect_into(seen, paired_adapter)

        assert text_in(seen) == "".join(paired_fake.reply.words[:3])

    @pytest.mark.parametrize("fault", WAITS, ids=str)
    async def test_it_passes_on_how_long_it_shall_wait(
        self, pair: Pair, paired_fake: FakeModelServer, paired_adapter: Adapter, fault: Fault
    ) -> None:
        put_fault(pair, paired_fake, fault)

        failure = await failure_of(paired_adapter)

        assert failure.retry_after_s == (WAITS[fault] if pair.tells_waits else None)

    async def test_it_asks_once_however_the_provider_fails(
        self, paired_fake: FakeModelServer, paired_adapter: Adapter
    ) -> None:
        paired_fake.fault = Fault.SERVER_ERROR

        await failure_of(paired_adapter)

        assert len(paired_fake.requests) == 1

    async def test_it_answers_again_once_the_fault_is_gone(
        self, paired_fake: FakeModelServer, paired_adapter: Adapter
    ) -> None:
        paired_fake.fault = Fault.REFUSE
        await failure_of(paired_adapter)

        paired_fake.fault = Fault.NONE

        assert text_in(await events_of(paired_adapter)) == paired_fake.reply.text

    async def test_it_tells_a_slow_network_from_a_closed_port(self, pair: Pair, unreachable: str) -> None:
        adapter = adapters()[pair.kind](connection(unreachable, connect_timeout_s=0.2))

        failure = await failure_of(adapter)

        assert failure.event is Event.CONNECT_TIMEOUT

    async def test_it_takes_failed_encryption_for_a_refusal(self, pair: Pair, paired_fake: FakeModelServer) -> None:
        adapter = adapters()[pair.kind](connection(paired_fake.base_url.replace("http:", "https:")))

        failure = await failure_of(adapter)

        assert failure.event is Event.REFUSED

    async def test_it_takes_an_unknown_host_for_a_refusal(self, pair: Pair) -> None:
        adapter = adapters()[pair.kind](connection("http://no-such-host.invalid/v1"))

        failure = await failure_of(adapter)

        assert failure.event is Event.REFUSED

    async def test_it_takes_a_senseless_address_for_a_wrong_setting(self, pair: Pair) -> None:
        adapter = adapters()[pair.kind](connection("localhost:8080/v1"))

        failure = await failure_of(adapter)

        assert failure.event is Event.MISCONFIGURED


class TestLeaving:
    async def test_it_closes_the_connection_when_the_answer_is_abandoned(
        self, paired_fake: FakeModelServer, paired_adapter: Adapter
    ) -> None:
        paired_fake.fault = Fault.STALL

        async with aclosing(paired_adapter.chat(CHAT)) as answer:
            async for event in answer:
                if isinstance(event, TextDelta):
                    break

        assert await asyncio.to_thread(paired_fake.requests[0].closed.wait, 1)

    @pytest.mark.parametrize("fault", [Fault.HANG, Fault.STALL], ids=str)
    async def test_it_closes_the_connection_when_its_task_is_cancelled(
        self, paired_fake: FakeModelServer, paired_adapter: Adapter, fault: Fault
    ) -> None:
        paired_fake.fault = fault

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(events_of(paired_adapter), 0.2)

        assert await asyncio.to_thread(paired_fake.requests[0].closed.wait, 1)

    async def test_it_asks_nothing_until_the_answer_is_wanted(
        self, paired_fake: FakeModelServer, paired_adapter: Adapter
    ) -> None:
        async with aclosing(paired_adapter.chat(CHAT)):
            pass

        assert paired_fake.requests == []


class TestPrivacy:
    async def test_it_stops_a_text_that_may_not_leave_before_any_connection(
        self, pair: Pair, paired_fake: FakeModelServer
    ) -> None:
        remote = connection(paired_fake.base_url, is_local=False, accepts_up_to=PrivacyLabel.INTERNAL)
        adapter = adapters()[pair.kind](remote)

        with pytest.raises(PrivacyViolation):
            await events_of(adapter)
        with pytest.raises(PrivacyViolation):
            await adapter.embed(EMBED)

        assert paired_fake.connections_seen == 0

    async def test_it_sends_what_the_target_may_have(self, pair: Pair, paired_fake: FakeModelServer) -> None:
        remote = connection(paired_fake.base_url, is_local=False, accepts_up_to=PrivacyLabel.INTERNAL)
        adapter = adapters()[pair.kind](remote)

        events = await events_of(adapter, chat(privacy=PrivacyLabel.INTERNAL))

        assert events[-1] == Finished(FinishReason.STOP)


class TestUpkeep:
    async def test_it_lists_the_models(self, paired_fake: FakeModelServer, paired_adapter: Adapter) -> None:
        models = await paired_adapter.models()

        assert [model.name for model in models] == paired_fake.model_names

    async def test_it_finds_a_server_that_is_up(self, paired_adapter: Adapter) -> None:
        await paired_adapter.probe()

    async def test_it_finds_a_server_that_is_down(self, paired_fake: FakeModelServer, paired_adapter: Adapter) -> None:
        paired_fake.fault = Fault.REFUSE

        with pytest.raises(ProviderFailure) as raised:
            await paired_adapter.probe()

        assert raised.value.event is Event.REFUSED

    async def test_its_probe_never_asks_for_an_answer(
        self, paired_fake: FakeModelServer, paired_adapter: Adapter
    ) -> None:
        await paired_adapter.probe()

        assert [request.method for request in paired_fake.requests] == ["GET"]
