"""The breaker's rules, with the time passed in."""

from datetime import UTC, datetime, timedelta

import pytest

from llm_providers.errors import Event
from llm_providers.routing.breaker import (
    CHARGES,
    LOCAL_LIMITS,
    Admittance,
    BreakerEntry,
    BreakerState,
    Scope,
    gate_period,
    open_period,
)

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
BEFORE, AFTER = NOON - timedelta(seconds=1), NOON + timedelta(seconds=1)
NEUTRAL = {
    Event.LOADING,
    Event.CONFLICT,
    Event.BUSY,
    Event.RATE_LIMITED,
    Event.QUOTA,
    Event.UNAUTHORISED,
    Event.MODEL_MISSING,
    Event.BAD_REQUEST,
    Event.CONTEXT_LENGTH,
    Event.PARAMETER_REJECTED,
}


def entry(state, *, open_until=None, lease_until=None, forced=None):
    return BreakerEntry(1, Scope.ENDPOINT, "", state, forced, 0, open_until, lease_until, is_counting=False)


def test_every_event_is_judged():
    assert set(Event) == CHARGES.keys() | NEUTRAL
    assert not CHARGES.keys() & NEUTRAL


@pytest.mark.parametrize(
    ("breaker", "says"),
    [
        (entry(BreakerState.CLOSED), Admittance.FREE),
        (entry(BreakerState.OPEN, open_until=AFTER), Admittance.STAY_AWAY),
        (entry(BreakerState.OPEN, open_until=NOON), Admittance.TRIAL),
        (entry(BreakerState.HALF_OPEN, lease_until=AFTER), Admittance.STAY_AWAY),
        (entry(BreakerState.HALF_OPEN, lease_until=BEFORE), Admittance.TRIAL),
        (entry(BreakerState.OPEN, open_until=AFTER, forced="closed"), Admittance.FREE),
        (entry(BreakerState.CLOSED, forced="open"), Admittance.STAY_AWAY),
    ],
)
def test_what_a_breaker_says(breaker, says):
    assert breaker.admittance(at=NOON) is says


def test_each_reopening_doubles_the_period_up_to_the_longest():
    periods = [open_period(LOCAL_LIMITS, open_count=n, jitter=0).total_seconds() for n in (0, 1, 2, 3, 4, 1000)]

    assert periods == [5, 10, 20, 40, 60, 60]


@pytest.mark.parametrize(("jitter", "seconds"), [(-1, 4), (0, 5), (1, 6)])
def test_periods_are_spread_by_a_fifth(jitter, seconds):
    assert open_period(LOCAL_LIMITS, open_count=0, jitter=jitter).total_seconds() == seconds


@pytest.mark.parametrize(
    ("event", "retry_after_s", "strikes", "seconds"),
    [
        (Event.RATE_LIMITED, 3.0, 7, 3),
        (Event.RATE_LIMITED, None, 0, 5),
        (Event.RATE_LIMITED, None, 2, 20),
        (Event.RATE_LIMITED, None, 1000, 60),
        (Event.QUOTA, 3.0, 0, 3600),
        (Event.UNAUTHORISED, None, 0, 60),
    ],
)
def test_how_long_a_gate_is_shut(event, retry_after_s, strikes, seconds):
    assert gate_period(event, retry_after_s=retry_after_s, strikes=strikes).total_seconds() == seconds


def test_a_failure_shuts_no_gate():
    assert gate_period(Event.SERVER_ERROR, retry_after_s=3.0, strikes=0) is None
