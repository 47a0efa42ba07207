"""When a target counts as broken: which event charges which breaker, and for how long an open one stays open.

Pure: the time is passed in, the rows are `llm_providers.models.Breaker`, and who writes them is `health.breakers`.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from llm_providers.errors import Event

LONGEST_DOUBLING = 16
PROBATION = timedelta(seconds=60)
GATE_WITHOUT_A_HINT = timedelta(seconds=5)
LONGEST_GATE_WITHOUT_A_HINT = timedelta(seconds=60)
GATE_UNTIL_SOMEBODY_PAYS = timedelta(hours=1)
GATE_UNTIL_THE_KEY_IS_MENDED = timedelta(seconds=60)


class Scope(StrEnum):
    """What is charged: everything at an address, or one model there."""

    ENDPOINT = "endpoint"
    MODEL = "model"


class Charge(NamedTuple):
    """`opens_at_once`: asking again is free or sure to fail, so nothing is gained by counting."""

    scope: Scope
    opens_at_once: bool = False


# An event that is not here says nothing about health.
CHARGES: Mapping[Event, Charge] = {
    Event.REFUSED: Charge(Scope.ENDPOINT, opens_at_once=True),
    Event.CONNECT_TIMEOUT: Charge(Scope.ENDPOINT),
    Event.UNAVAILABLE: Charge(Scope.ENDPOINT),
    Event.OVERLOADED: Charge(Scope.ENDPOINT),
    Event.MISCONFIGURED: Charge(Scope.ENDPOINT),
    Event.SLOW: Charge(Scope.MODEL),
    Event.SERVER_ERROR: Charge(Scope.MODEL),
    Event.MODEL_CRASHED: Charge(Scope.MODEL, opens_at_once=True),
    Event.REQUEST_TIMEOUT: Charge(Scope.MODEL),
    Event.CUT: Charge(Scope.MODEL),
    Event.STALL: Charge(Scope.MODEL),
    Event.MALFORMED: Charge(Scope.MODEL),
    Event.ERROR_FRAME: Charge(Scope.MODEL),
    Event.EMPTY: Charge(Scope.MODEL),
    Event.UNCLASSIFIED: Charge(Scope.MODEL),
}


class BreakerState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Admittance(StrEnum):
    """What a breaker says to a request."""

    FREE = "free"
    """Call it."""
    TRIAL = "trial"
    """Call it if nobody else does: whoever gets the lease."""
    STAY_AWAY = "stay_away"


@dataclass(frozen=True, slots=True)
class Limits:
    """`threshold`: fails in a row that open it; `successes`: trials in a row that close it."""

    threshold: int
    base: timedelta
    longest: timedelta
    successes: int


# Being wrong about a local target costs one free call; faults of remote ones are often single.
LOCAL_LIMITS = Limits(threshold=2, base=timedelta(seconds=5), longest=timedelta(seconds=60), successes=1)
REMOTE_LIMITS = Limits(threshold=5, base=timedelta(seconds=30), longest=timedelta(seconds=300), successes=2)


@dataclass(frozen=True, slots=True)
class BreakerEntry:
    """A breaker as the snapshot knows it. `epoch` rises with every transition, so that late news can be told."""

    id: int
    scope: Scope
    model: str
    state: BreakerState
    forced: str | None
    epoch: int
    open_until: datetime | None
    lease_until: datetime | None
    is_counting: bool

    def admittance(self, *, at: datetime) -> Admittance:
        if self.forced is not None:
            return Admittance.STAY_AWAY if self.forced == BreakerState.OPEN else Admittance.FREE
        if self.state is BreakerState.CLOSED:
            return Admittance.FREE
        until = self.open_until if self.state is BreakerState.OPEN else self.lease_until
        return Admittance.TRIAL if until is None or until <= at else Admittance.STAY_AWAY


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to make the one call that tries out a half-open target."""

    breaker_id: int
    token: uuid.UUID


def open_period(limits: Limits, *, open_count: int, jitter: float) -> timedelta:
    """`base` doubled with each re-opening up to `longest`, +-20 % by a `jitter` from -1 to 1."""
    period = min(_doubled(limits.base, open_count), limits.longest)
    return period * (1 + 0.2 * jitter)


def gate_period(event: Event, *, retry_after_s: float | None, strikes: int) -> timedelta | None:
    """How long a provider is not to be called after `event`; None where it says nothing about that."""
    if event is Event.QUOTA:
        return GATE_UNTIL_SOMEBODY_PAYS
    if event is Event.UNAUTHORISED:
        return GATE_UNTIL_THE_KEY_IS_MENDED
    if event is not Event.RATE_LIMITED:
        return None
    if retry_after_s is not None:
        return timedelta(seconds=retry_after_s)
    return min(_doubled(GATE_WITHOUT_A_HINT, strikes), LONGEST_GATE_WITHOUT_A_HINT)


def _doubled(period: timedelta, times: int) -> timedelta:
    return period * float(2 ** min(times, LONGEST_DOUBLING))
