"""Whose turn it is: every candidate once, and only then, for what may pass by itself, some of them again.

Pure: times are seconds of one monotonic clock, passed in. A retry before the others were asked would let a caller wait
for a broken provider while a healthy one stands by.
"""

from dataclasses import dataclass

from llm_providers.errors import Event, ProviderFailure, Retry
from llm_providers.routing.breaker import gate_period
from llm_providers.routing.candidates import Plan, Target

_BACKOFF_S, _LONGEST_BACKOFF_S = 0.5, 8.0
_GATE_MARGIN_S = 0.25  # the gate is shut a moment after the failure is known


@dataclass(frozen=True, slots=True)
class Turn:
    """`target` is to be asked in `wait_s` seconds; `is_forced`: in spite of its breaker."""

    target: Target
    wait_s: float = 0.0
    is_forced: bool = False
    is_retry: bool = False


@dataclass(frozen=True, slots=True)
class _Retry:
    target: Target
    ready_at: float
    is_counted: bool


class Progress:
    """What became of the candidates so far, and with it who is next.

    `max_retries` is for the whole chain; waiting for a model that says that it is loading does not count. With 0
    nobody is asked twice. No retry begins after `deadline`.
    """

    def __init__(self, chain: Plan, *, max_retries: int, deadline: float) -> None:
        self.last: ProviderFailure | None = None
        self.outgrown = 0
        self._waiting = list(chain.candidates)
        self._is_alone = len(self._waiting) == 1
        self._left_alone: list[Target] = []
        self._has_forced = False
        self._retries: list[_Retry] = []
        self._max_retries = max_retries
        self._retries_made = 0
        self._retrying: _Retry | None = None
        self._failures_of: dict[str, int] = {}
        self._deadline = deadline

    def next_turn(self, *, at: float) -> Turn | None:
        """None where nobody is left to be asked."""
        if self._waiting:
            return Turn(self._waiting.pop(0))
        if self.last is None and self._left_alone and not self._has_forced:
            self._has_forced = True
            return Turn(self._left_alone[0], is_forced=True)
        return self._next_retry(at)

    def passed_over(self, target: Target, *, by_breaker: bool) -> None:
        self._retrying = None  # nobody was called, so it does not count
        if by_breaker:
            self._left_alone.append(target)

    def failed(self, target: Target, failure: ProviderFailure, *, at: float, jitter: float) -> None:
        """`jitter` from 0 to 1 is the part of the back-off that is waited."""
        self.last = failure
        self._retries_made += self._retrying is not None and self._retrying.is_counted
        self._retrying = None
        self.outgrown = max(self.outgrown, _outgrown_at(target, failure))
        failures = self._failures_of[target.label] = self._failures_of.get(target.label, 0) + 1
        retry = failure.event.retry
        if retry is Retry.NEVER or (retry is Retry.IF_ALONE and not self._is_alone):
            return
        wait_s = _wait_s(failure, failures=failures, jitter=jitter)
        self._retries.append(_Retry(target, at + wait_s, is_counted=retry is not Retry.WHILE_LOADING))

    def _next_retry(self, at: float) -> Turn | None:
        """The one that may be asked soonest."""
        may_count = self._retries_made < self._max_retries
        due = [
            retry
            for retry in self._retries
            if self._max_retries and (may_count or not retry.is_counted) and retry.ready_at < self._deadline
        ]
        if not due:
            return None
        chosen = min(due, key=lambda retry: retry.ready_at)
        self._retries.remove(chosen)
        self._retrying = chosen
        return Turn(chosen.target, wait_s=max(0.0, chosen.ready_at - at), is_retry=True)


def _outgrown_at(target: Target, failure: ProviderFailure) -> int:
    """The context, in tokens, that was not enough; 0 where nobody knows it or something else was wrong."""
    if failure.event is not Event.CONTEXT_LENGTH:
        return 0
    return failure.context_limit or target.model.context_length or 0


def _wait_s(failure: ProviderFailure, *, failures: int, jitter: float) -> float:
    """What the provider asked for, else a time drawn from a span that doubles with each of its failures."""
    gate = gate_period(failure.event, retry_after_s=failure.retry_after_s, strikes=failures - 1)
    if gate is not None:
        return gate.total_seconds() + _GATE_MARGIN_S
    if failure.retry_after_s is not None:
        return failure.retry_after_s
    return jitter * min(_BACKOFF_S * 2.0 ** (failures - 1), _LONGEST_BACKOFF_S)
