"""The one door to every model: policy, order, record, admission, adapter, record, in that order and no other.

A request leaves rows whatever happens to it, nothing is sent before they are on disk, and nothing is switched
silently once its caller has seen content.
"""

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import timedelta

from django.conf import settings
from django.utils.timezone import now

from llm_providers.accounting.tokens import estimated_input
from llm_providers.adapters.base import Adapter
from llm_providers.errors import (
    AllTargetsFailed,
    BadRequest,
    ContextTooLong,
    Event,
    LLMError,
    PrivacyBlocked,
    ProviderFailure,
    StreamBroken,
)
from llm_providers.health import breakers
from llm_providers.health.residency import residency
from llm_providers.records.record import Record
from llm_providers.routing.admission import BREAKER_OPEN, refusal
from llm_providers.routing.candidates import OrderPolicy, Plan, Target, plan
from llm_providers.routing.clocks import Clocks, Patience
from llm_providers.routing.connections import adapter_for
from llm_providers.routing.keeper import snapshot_keeper
from llm_providers.routing.progress import Progress, Turn
from llm_providers.routing.snapshot import ProviderEntry, Snapshot
from llm_providers.types import (
    AdapterEvent,
    Answered,
    Began,
    ChatCall,
    ClientEvent,
    EmbedCall,
    Embeddings,
    EmbedRequest,
    FellOver,
    Finished,
    FinishReason,
    Loading,
    ModelRequest,
    Purpose,
    ReasoningDelta,
    Retrying,
    Serving,
    TextDelta,
    ToolCallDelta,
)
from llm_providers.words import reason_in_words

_READS_PER_S = 50  # tokens of the prompt, on a slow processor
_INTERACTIVE = frozenset({Purpose.CHAT, Purpose.TEST})


class UnifiedLLMClient:
    """Gets a request answered, recorded and told apart: local or not, by whom, and why.

    All methods raise only `llm_providers.errors`; each failure carries the `request_id` of its record.
    """

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ClientEvent, None]:
        """The answer piece by piece, ending with `Answered`; wrap it in `aclosing`, closing it cancels the call."""
        async with Record(request) as record:
            chain = await _chain(request, record)
            async with aclosing(_answer(request, chain, record, is_seen=True)) as events:
                async for event in events:
                    yield event
            yield await record.succeed()

    async def complete(self, request: ModelRequest) -> Answered:
        """The whole answer. Nobody sees it before it is complete, so a broken one may still fall over."""
        async with Record(request) as record:
            await _run_through(request, record)
            return await record.succeed()

    async def embed(self, request: EmbedRequest) -> tuple[Embeddings, Answered]:
        """A vector per input, and what it took."""
        async with Record(request) as record:
            await _run_through(request, record)
            answered = await record.succeed()
            embeddings = record.answer.embeddings
            assert embeddings is not None, "an answer without vectors is empty"  # noqa: S101 - a failure by now
            return embeddings, answered


async def _run_through(request: ModelRequest | EmbedRequest, record: Record) -> None:
    chain = await _chain(request, record)
    async with aclosing(_answer(request, chain, record, is_seen=False)) as events:
        async for _ in events:
            pass


async def _chain(request: ModelRequest | EmbedRequest, record: Record) -> Plan:
    chain = _planned(await snapshot_keeper().current(), request)
    record.follow(chain)
    return chain


def _planned(snapshot: Snapshot, request: ModelRequest | EmbedRequest) -> Plan:
    # The environment wins over the file.
    falls_over = snapshot.failover.enabled if settings.LLM_FAILOVER_ENABLED is None else settings.LLM_FAILOVER_ENABLED
    policy = OrderPolicy(settings.LLM_DEFAULT_PROVIDER, tuple(settings.LLM_FALLBACK_ORDER), falls_over)
    return plan(snapshot, request, policy)


async def _answer(
    request: ModelRequest | EmbedRequest, chain: Plan, record: Record, *, is_seen: bool
) -> AsyncGenerator[ClientEvent, None]:
    """Asks the candidates in order until one has answered.

    `is_seen`: the caller sees content as it comes, so a broken answer is final.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _deadline_s(request)
    progress = Progress(chain, max_retries=await _max_retries(), deadline=deadline)
    while (turn := await _next_turn(progress, request)) is not None:
        target = turn.target
        if turn.is_retry:
            yield Retrying(target.label, turn.wait_s)
            await asyncio.sleep(turn.wait_s)
            if (known := await _as_it_is_now(target, request)) is None:
                progress.passed_over(target, by_breaker=False)
                continue
            target = known
        reason = refusal(target, secrets=settings.SECRET_ENVIRONMENT, at=now(), outgrown=progress.outgrown)
        leases = await breakers.admit(target, is_forced=turn.is_forced) if reason is None else None
        if leases is None:
            record.passed_over(target, reason or BREAKER_OPEN)
            progress.passed_over(target, by_breaker=reason is None)
            continue
        try:
            async with (
                breakers.verdict(target, leases),
                aclosing(_answer_of(request, target, record, deadline=deadline)) as events,
            ):
                async for event in events:
                    yield event
        except ProviderFailure as failure:
            record.attempt_failed(failure)
            _stop_if_final(failure, record, is_seen=is_seen)
            record.start_over()
            progress.failed(target, failure, at=loop.time(), jitter=random.random())  # noqa: S311 - spreads retries
            yield FellOver(target.label, failure.event.reason)
        else:
            return
    raise _nobody_answered(request, chain, record, progress.last)


async def _next_turn(progress: Progress, request: ModelRequest | EmbedRequest) -> Turn | None:
    """Whose turn it is; who will still be left alone when a retry is due is not waited for."""
    while (turn := progress.next_turn(at=asyncio.get_running_loop().time())) is not None and turn.is_retry:
        target = await _as_it_is_now(turn.target, request)
        if target is not None and not target.is_left_alone(at=now() + timedelta(seconds=turn.wait_s)):
            break
        progress.passed_over(turn.target, by_breaker=True)
    return turn


async def _max_retries() -> int:
    failover = (await snapshot_keeper().current()).failover
    return failover.max_retries if failover.retry_on_error else 0


async def _as_it_is_now(target: Target, request: ModelRequest | EmbedRequest) -> Target | None:
    """The same target with what has happened since the chain was made: its breakers, its gate, its switch, what it may
    have. None where it is no candidate any more.
    """
    try:
        chain = _planned(await snapshot_keeper().current(), request)
    except BadRequest:  # nobody offers the wanted model any more
        return None
    return next((candidate for candidate in chain.candidates if candidate.label == target.label), None)


async def _answer_of(
    request: ModelRequest | EmbedRequest, target: Target, record: Record, *, deadline: float
) -> AsyncGenerator[ClientEvent, None]:
    """One provider's answer. A call that it refuses for an optional parameter is made once more.

    Its adapter leaves out what was refused, so the second call is another one and no retry that anybody counts.
    """
    try:
        async with aclosing(_attempt(request, target, record, deadline=deadline)) as events:
            async for event in events:
                yield event
    except ProviderFailure as failure:
        if failure.event is not Event.PARAMETER_REJECTED:
            raise
        record.attempt_failed(failure)
    else:
        return
    async with aclosing(_attempt(request, target, record, deadline=deadline)) as events:
        async for event in events:
            yield event


async def _attempt(
    request: ModelRequest | EmbedRequest, target: Target, record: Record, *, deadline: float
) -> AsyncGenerator[ClientEvent, None]:
    """One call, on record and under the clocks; ends after its terminal marker or raises `ProviderFailure`."""
    await record.open_attempt(target)
    ordinal = record.attempts
    if ordinal == 1:
        yield Began(record.public_id)
    is_cold = await residency().must_load(target)
    if is_cold:
        record.model_is_loading()
        yield Loading(target.label)
    async with aclosing(_events(request, target)) as events:
        clocks = Clocks(target.provider, deadline=deadline, patience=_patience(request, target, is_cold=is_cold))
        while (event := await clocks.next_of(events)) is not None:
            was_silent = not record.answer.has_content
            if not record.answer.add(event):
                continue
            if was_silent:
                clocks.content_began()
                record.first_content()
                yield _serving(target, ordinal)
            if isinstance(event, TextDelta | ReasoningDelta | ToolCallDelta):
                yield event
    if not record.answer.has_content:
        raise ProviderFailure(Event.EMPTY, "the answer was complete and had nothing in it")
    residency().answered(target)


def _events(request: ModelRequest | EmbedRequest, target: Target) -> AsyncGenerator[AdapterEvent | Embeddings, None]:
    adapter = adapter_for(target.provider)
    if isinstance(request, EmbedRequest):
        return _embedding_events(adapter, EmbedCall(target.model.name, request.inputs, request.privacy))
    return adapter.chat(
        ChatCall(
            model=target.model.name,
            messages=request.messages,
            privacy=request.privacy,
            tools=request.tools,
            tool_choice=request.tool_choice,
            answer_schema=request.answer_schema,
            sampling=request.sampling,
        )
    )


async def _embedding_events(adapter: Adapter, call: EmbedCall) -> AsyncGenerator[AdapterEvent | Embeddings, None]:
    yield await adapter.embed(call)
    yield Finished(FinishReason.STOP)


def _patience(request: ModelRequest | EmbedRequest, target: Target, *, is_cold: bool) -> Patience:
    if is_cold:
        # Cut while it loads, a model would have to begin anew, so only a caller's own deadline ends this wait.
        return Patience(target.provider.cold_timeout_s, is_cold=True, obeys_deadline=request.deadline_s is not None)
    return Patience(target.provider.timeout_s + _reading_s(request, target))


def _reading_s(request: ModelRequest | EmbedRequest, target: Target) -> float:
    """Seconds that a model on a small machine may need to read the prompt: a long one is slow, not broken."""
    return estimated_input(request) / _READS_PER_S if target.provider.is_local else 0.0


def _deadline_s(request: ModelRequest | EmbedRequest) -> float:
    if request.deadline_s is not None:
        return request.deadline_s
    is_interactive = request.purpose in _INTERACTIVE
    return float(settings.LLM_DEADLINE_INTERACTIVE_S if is_interactive else settings.LLM_DEADLINE_JOB_S)


def _serving(target: Target, ordinal: int) -> Serving:
    return Serving(
        provider=target.provider.name,
        model=target.model.name,
        is_local=target.provider.is_local,
        is_test=target.model.is_test,
        attempt=ordinal,
    )


def _stop_if_final(failure: ProviderFailure, record: Record, *, is_seen: bool) -> None:
    """Raises where asking the next one would be wrong: content was seen, or the request itself is at fault."""
    if record.answer.has_content and is_seen:
        raise StreamBroken(f"The answer broke off: {failure.detail}", reason=failure.event.reason) from failure
    if not failure.event.falls_over:
        raise BadRequest(f"The provider refused the request: {failure.detail}") from failure


def _nobody_answered(
    request: ModelRequest | EmbedRequest, chain: Plan, record: Record, last: ProviderFailure | None
) -> LLMError:
    reasons = set(record.trail.reasons.values())
    if last is None and "privacy" in reasons and reasons <= {"privacy", "disabled", "test_model"}:
        return PrivacyBlocked(
            f"The text is labelled {request.privacy} and no provider that may have it can {request.capability}."
        )
    if reasons == {"context_length"}:
        return ContextTooLong("The text is longer than the context of every model that may have it.")
    return AllTargetsFailed(
        f"No model answered. {_told(chain, record) or 'No provider is set up'}.",
        trail=tuple(record.trail.as_json()),
        retry_after_s=last.retry_after_s if last else _reopens_in_s(chain),
    )


def _told(chain: Plan, record: Record) -> str:
    """Every candidate with its reason and, where a setting is at fault, its name."""
    providers = {target.label: target.provider for target in chain.candidates}
    return "; ".join(
        f"{label}: {reason_in_words(reason)}{_setting_to_change(providers.get(label), reason)}"
        for label, reason in record.trail.reasons.items()
    )


def _setting_to_change(provider: ProviderEntry | None, reason: str) -> str:
    if provider is None or reason not in ("config", "model_missing"):
        return ""
    if reason == "model_missing":
        return f" (check the model of {provider.name})"
    return f" (check {provider.secret_env or 'its address'})"


def _reopens_in_s(chain: Plan) -> float | None:
    """Seconds until the first breaker or gate of the candidates lets somebody through again."""
    times = [breaker.open_until for target in chain.candidates for breaker in target.breakers]
    times += [target.provider.gated_until for target in chain.candidates]
    waits = [(time - now()).total_seconds() for time in times if time is not None]
    return max(min(waits), 0.0) if waits else None
