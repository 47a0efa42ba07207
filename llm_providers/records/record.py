"""The record of one call while it runs: begun before the first byte goes out, finished before the last one is shown."""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from django.db import Error as DatabaseFailure
from django.db import InterfaceError, OperationalError
from django.utils.timezone import now

from architect.lib.group_commit import group_commit
from architect.lib.ids import ulid
from architect.lib.storable import storable
from llm_providers.accounting.tokens import completed_usage
from llm_providers.errors import DeadlineReached, LLMError, ProviderFailure, RecordUnavailable
from llm_providers.models import AttemptState, RequestState
from llm_providers.records import rows, spool
from llm_providers.records.answer import AnswerSoFar
from llm_providers.records.rows import AttemptRow, ContentRow, FinalRows
from llm_providers.records.trail import Trail
from llm_providers.routing.candidates import Plan, Target
from llm_providers.types import Answered, EmbedRequest, FinishReason, Message, ModelRequest, Usage

logger = logging.getLogger(__name__)
CHECKPOINT_EVERY_S = 2.0
_FINISH_TRIES, _FINISH_PAUSE_S = 20, 0.25


class Record:
    """An async context around one call. Leaving it in any way, the caller's own included, finishes the rows."""

    def __init__(self, request: ModelRequest | EmbedRequest) -> None:
        self.public_id = f"req_{ulid()}"
        self.answer = AnswerSoFar()
        self._request = request
        self._started_at = now()
        self._clock = time.monotonic()
        self._first_content: float | None = None
        self._first_content_at: datetime | None = None
        self.trail = Trail(Plan((), "no chain was made"))
        self._attempts: list[AttemptRow] = []
        self._attempt_clock = self._attempt_ended = self._clock
        self._target: Target | None = None
        self._usage, self._usage_source, self._total_ms = Usage(), "unknown", 0
        self._row_id: int | None = None
        self._is_finished = False
        self._checkpoints: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._checkpoints is not None:
            self._checkpoints.cancel()
        if isinstance(failure, LLMError):
            failure.request_id = self.public_id
        if self._is_finished or isinstance(failure, RecordUnavailable):
            return
        await self._finish(self._ended_by(failure))

    # --- on the way ------------------------------------------------------------------------------------------------

    def follow(self, plan: Plan) -> None:
        """Notes the chain; the rows follow in the same commit as the first attempt's, before anything is sent."""
        self.trail = Trail(plan)

    def passed_over(self, target: Target, reason: str) -> None:
        self.trail.passed_over(target.label, reason)

    async def open_attempt(self, target: Target) -> None:
        """Puts the attempt on disk.

        Raises:
            RecordUnavailable: the database does not take it; nothing may be sent.
        """
        self._target = target
        self._attempt_clock = time.monotonic()
        self._attempts.append(
            AttemptRow(
                len(self._attempts) + 1, target.provider.name, target.model.name, target.provider.is_local, now()
            )
        )
        try:
            self._row_id = await group_commit().commit(self._opening())
        except DatabaseFailure as failure:
            raise RecordUnavailable(f"The request can't be put on record, so it was not sent: {failure}") from failure
        if self._checkpoints is None:
            self._checkpoints = asyncio.create_task(self._keep_checkpoints())

    def model_is_loading(self) -> None:
        self._attempts[-1].is_cold = True

    def first_content(self) -> None:
        """Marks the moment from which on nothing is switched silently."""
        self._first_content = time.monotonic()
        self._first_content_at = now()
        self._attempts[-1].state = AttemptState.STREAMING.value
        self._attempts[-1].ttft_ms = _ms(self._attempt_clock, self._first_content)

    def attempt_failed(self, failure: ProviderFailure) -> None:
        attempt = self._attempts[-1]
        attempt.http_status = failure.http_status
        attempt.error_text = failure.detail
        state = AttemptState.PARTIAL if self.answer.has_content else AttemptState.FAILED
        self._close_attempt(state, event=failure.event.label)
        self.trail.failed(self._label, failure.event.reason, ms=attempt.total_ms)

    def start_over(self) -> None:
        """Forgets a broken answer that nobody has seen, before the next candidate is asked."""
        self.answer = AnswerSoFar()
        self._first_content = self._first_content_at = None

    async def succeed(self) -> Answered:
        """Puts the whole answer on disk and tells what it took; only then may the caller learn that it is complete."""
        self._close_attempt(AttemptState.OK, event="")
        self.trail.answered(self._label, ttft_ms=self._attempts[-1].ttft_ms)
        await self._finish(RequestState.OK)
        return self._answered()

    @property
    def attempts(self) -> int:
        """How many there were so far, the present one included."""
        return len(self._attempts)

    # --- inside ----------------------------------------------------------------------------------------------------

    @property
    def _label(self) -> str:
        return self._target.label if self._target else ""

    def _opening(self) -> Callable[[], int]:
        """The work that puts the newest attempt on disk, and with the first one the request itself."""
        *former, newest = self._attempts[-2:]

        def write() -> int:
            request_id = self._row_id or rows.insert_request(self._request_fields(), _prompt_of(self._request))
            rows.save_attempts(request_id, former)
            rows.insert_attempt(request_id, newest)
            return request_id

        return write

    def _request_fields(self) -> dict[str, Any]:
        principal = self._request.principal
        return {
            "public_id": self.public_id,
            "owner_id": principal.id if principal.kind == "person" else None,
            "principal": principal.kind if principal.id is None else f"{principal.kind}:{principal.id}",
            "purpose": self._request.purpose.value,
            "capability": self._request.capability.value,
            "privacy": self._request.privacy.value,
            "wanted_model": storable(self._request.wanted_model)[:250],
            "started_at": self._started_at,
            "lease_until": now() + rows.LEASE,
        }

    async def _keep_checkpoints(self) -> None:
        while True:
            await asyncio.sleep(CHECKPOINT_EVERY_S)
            content = self._content() if self.answer.has_content else None
            at = now()
            try:
                await group_commit().commit(lambda: rows.checkpoint(self.public_id, content=content, at=at))  # noqa: B023 - awaited here
            except DatabaseFailure as failure:
                logger.warning("Checkpoint of %s was not written, the next one will be: %s", self.public_id, failure)

    def _ended_by(self, failure: BaseException | None) -> RequestState:
        """Closes the attempt that is still open, if one is, and says what became of the request."""
        is_open = bool(self._attempts) and self._attempts[-1].total_ms is None
        if isinstance(failure, asyncio.CancelledError | GeneratorExit):
            if is_open:
                self._close_attempt(AttemptState.CANCELLED, event="")
                self.trail.cancelled(self._label)
            return RequestState.CANCELLED
        if is_open:
            reason = "deadline" if isinstance(failure, DeadlineReached) else "server_error"
            self._attempts[-1].error_text = storable(str(failure))[:2000]
            self._close_attempt(AttemptState.PARTIAL if self.answer.has_content else AttemptState.FAILED, event=reason)
            self.trail.failed(self._label, reason, ms=self._attempts[-1].total_ms)
        return RequestState.PARTIAL if self.answer.has_content else RequestState.FAILED

    def _close_attempt(self, state: AttemptState, *, event: str) -> None:
        if not self._attempts or self._attempts[-1].total_ms is not None:
            return
        attempt = self._attempts[-1]
        attempt.state = state.value
        attempt.event = event
        self._attempt_ended = time.monotonic()
        attempt.total_ms = _ms(self._attempt_clock, self._attempt_ended)
        if self.answer.origin is not None:
            attempt.answered_model = (self.answer.origin.answered_model or "")[:200]
            attempt.provider_request_id = (self.answer.origin.provider_request_id or "")[:200]

    async def _finish(self, state: RequestState) -> None:
        """Commits the end; where the database does not take it for 5 s, or never will, a synced file does.

        Raises:
            RecordUnavailable: neither took it, so the caller must not be told that all is well.
        """
        final = self._final(state)
        begins = self._row_id is None
        fields, prompt = self._request_fields(), _prompt_of(self._request)

        def write() -> None:
            # An opening that was cancelled may have been committed all the same.
            if begins and not rows.is_on_record(self.public_id):
                rows.insert_request(fields, prompt)
            rows.apply_final(final)

        self._is_finished = True
        try:
            await self._commit_stubbornly(write, tries=1 if begins else _FINISH_TRIES)
        except DatabaseFailure as failure:
            if begins:
                raise RecordUnavailable(f"The request can't be put on record: {failure}") from failure
            logger.exception("The end of %s is not on record, so it is kept in a file", self.public_id)
            await _spool(final)

    async def _commit_stubbornly(self, write: Callable[[], None], *, tries: int) -> None:
        """Tries again while the database is away or busy; what it refuses now it will refuse again."""
        for _ in range(tries - 1):
            try:
                return await group_commit().commit(write)
            except (OperationalError, InterfaceError) as failure:
                logger.warning("The end of %s is not on record yet: %s", self.public_id, failure)
            await asyncio.sleep(_FINISH_PAUSE_S)
        return await group_commit().commit(write)

    def _final(self, state: RequestState) -> FinalRows:
        self._total_ms = _ms(self._clock, time.monotonic())
        if self._attempts:
            self._count_tokens()
        served = self._target if self.answer.has_content else None
        served_by = served.label if served else ""
        request = {
            "state": state.value,
            "served_by": served_by,
            "is_local": served.provider.is_local if served else None,
            "is_test": bool(served and served.model.is_test),
            "fallback_reason": self.trail.fallback_reason(served_by=served_by),
            "first_content_at": self._first_content_at,
            "finished_at": now(),
            "ttft_ms": self._ttft_ms,
            "total_ms": self._total_ms,
            "input_tokens": self._usage.input_tokens,
            "output_tokens": self._usage.output_tokens,
            "cached_tokens": self._usage.cached_tokens,
            "reasoning_tokens": self._usage.reasoning_tokens,
            "usage_source": self._usage_source,
            "trail": self.trail.as_json(),
        }
        return FinalRows(self.public_id, request, self._content(), self._attempts)

    def _count_tokens(self) -> None:
        self._usage, self._usage_source = completed_usage(self.answer.usage, self._request, written=self.answer.written)
        self._attempts[-1].input_tokens = self._usage.input_tokens
        self._attempts[-1].output_tokens = self._usage.output_tokens

    @property
    def _ttft_ms(self) -> int | None:
        return None if self._first_content is None else _ms(self._clock, self._first_content)

    def _content(self) -> ContentRow:
        calls = [{"id": c.id, "name": c.name, "arguments": c.arguments} for c in self.answer.tool_calls]
        return ContentRow(storable(self.answer.text), storable(self.answer.reasoning), storable(calls))

    def _answered(self) -> Answered:
        assert self._target is not None, "an answer has a target"  # noqa: S101 - set by open_attempt
        return Answered(
            request_id=self.public_id,
            provider=self._target.provider.name,
            model=self._target.model.name,
            is_local=self._target.provider.is_local,
            is_test=self._target.model.is_test,
            finish_reason=self.answer.finished.reason if self.answer.finished else FinishReason.STOP,
            usage=self._usage,
            usage_source=self._usage_source,
            ttft_ms=self._ttft_ms,
            total_ms=self._total_ms,
            tokens_per_s=self._tokens_per_s(self._usage.output_tokens),
            trail=tuple(self.trail.as_json()),
            text=self.answer.text,
            reasoning=self.answer.reasoning,
            tool_calls=self.answer.tool_calls,
        )

    def _tokens_per_s(self, output_tokens: int | None) -> float | None:
        """From the first content to the end of the attempt; one token alone, or all at once, has no rate."""
        if self._first_content is None or output_tokens is None or output_tokens < 2:
            return None
        writing_s = self._attempt_ended - self._first_content
        return round((output_tokens - 1) / writing_s, 1) if writing_s > 0.001 else None


async def _spool(final: FinalRows) -> None:
    try:
        await asyncio.to_thread(spool.put, final)
    except OSError as failure:
        raise RecordUnavailable(f"The answer could not be put on record: {failure}") from failure


def _ms(start: float, end: float) -> int:
    return max(0, round((end - start) * 1000))


def _prompt_of(request: ModelRequest | EmbedRequest) -> list[Any]:
    if isinstance(request, EmbedRequest):
        return storable(list(request.inputs))
    return storable([_turn(message) for message in request.messages])


def _turn(message: Message) -> dict[str, Any]:
    turn: dict[str, Any] = {"role": message.role.value, "text": message.text}
    if message.images:
        turn["images"] = [{"mime": image.mime, "bytes": len(image.content)} for image in message.images]
    if message.tool_calls:
        turn["tool_calls"] = [{"id": c.id, "name": c.name, "arguments": c.arguments} for c in message.tool_calls]
    if message.tool_call_id:
        turn["tool_call_id"] = message.tool_call_id
    return turn
