"""Breakers and gates in their rows, shared by all processes through conditional updates; no locks, no Redis."""

import asyncio
import logging
import random
import uuid
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any, TypeVar

from django.db import Error as DatabaseFailure
from django.db.models import F, Q, QuerySet
from django.utils.timezone import now

from architect.lib.group_commit import group_commit
from llm_providers.errors import Event, ProviderFailure
from llm_providers.health.learned import learn, teaches
from llm_providers.models import Breaker, BreakerEvent, Provider, RateGate
from llm_providers.routing.breaker import (
    CHARGES,
    PROBATION,
    Admittance,
    BreakerEntry,
    BreakerState,
    Charge,
    Lease,
    Limits,
    Scope,
    gate_period,
    open_period,
)
from llm_providers.routing.candidates import Target
from llm_providers.routing.keeper import configuration_changed, snapshot_keeper
from llm_providers.routing.window import CallWindow

logger = logging.getLogger(__name__)
T = TypeVar("T")
_LEASE = timedelta(seconds=15)
_RENEWED_EVERY_S = 5.0
_being_taken: set[int] = set()


async def admit(target: Target, *, is_forced: bool = False) -> list[Lease] | None:
    """The leases under which `target` is called now, mostly none; None when it must be left alone.

    `is_forced`: everybody else was passed over, so an open breaker is tried before its time.
    """
    at = now()
    leases: list[Lease] = []
    for breaker in target.breakers:
        admittance = breaker.admittance(at=at)
        if admittance is Admittance.FREE:
            continue
        may_try = admittance is Admittance.TRIAL or (is_forced and breaker.forced is None)
        lease = await _take(breaker, is_forced=is_forced) if may_try else None
        if lease is None:
            await release(leases)
            return None
        leases.append(lease)
    return leases


async def failed(target: Target, failure: ProviderFailure, leases: Iterable[Lease]) -> None:
    """Charges what `failure` tells against, and gives back leases that it says nothing about."""
    charge = CHARGES.get(failure.event)
    if charge is not None:
        charge = _with_its_window(target, charge)
    is_gated = gate_period(failure.event, retry_after_s=None, strikes=0) is not None
    if charge is not None or is_gated or leases or teaches(failure):
        await _commit_if_possible(partial(_record_failure, target, failure, charge, tuple(leases)))


async def succeeded(target: Target, leases: Iterable[Lease]) -> None:
    """Closes what was on trial; a target that nothing was counted against costs no write."""
    at = asyncio.get_running_loop().time()
    for scope in Scope:
        window = _window(target, scope)
        window.clear() if leases else window.add(has_failed=False, at=at)
    if leases or target.provider.is_gated or any(breaker.is_counting for breaker in target.breakers):
        await _commit_if_possible(partial(_record_success, target, tuple(leases)))


@asynccontextmanager
async def verdict(target: Target, leases: Iterable[Lease]) -> AsyncGenerator[None, None]:
    """Tells the breakers how the call inside ended; one that was given up returns its leases without a verdict.

    The leases are renewed as long as the call goes on.
    """
    renewing = asyncio.create_task(_renew(leases)) if leases else None
    try:
        yield
    except ProviderFailure as failure:
        await failed(target, failure, leases)
        raise
    except BaseException:
        await release(leases)
        raise
    else:
        await succeeded(target, leases)
    finally:
        if renewing is not None:
            renewing.cancel()


async def release(leases: Iterable[Lease]) -> None:
    """Gives leases back without a verdict; the next request may try at once."""
    tokens = [lease.token for lease in leases]
    if tokens:
        await _commit_if_possible(partial(_release, tokens))


def make_eligible(provider: Provider) -> None:
    """A free call was answered, so an endpoint that nobody could reach may be tried before its time."""
    open_ones = provider.breakers.filter(scope=Scope.ENDPOINT, state="open", open_until__gt=now())
    if open_ones.update(open_until=now()):
        configuration_changed()


def put_off(provider: Provider, *, due_before: datetime, until: datetime) -> None:
    """A free call failed, so the trials that are due before a time wait until a later one."""
    due = provider.breakers.filter(state="open", open_until__lt=due_before)
    if due.update(open_until=until):
        configuration_changed()


def reset(breaker: Breaker, *, actor_name: str) -> None:
    """An operator says that it is mended."""
    _transit(Breaker.objects.filter(pk=breaker.pk), to="closed", reason="reset", actor_name=actor_name, **_CLOSED)


_CLOSED: dict[str, Any] = {
    "forced": None,
    "consecutive_failures": 0,
    "trial_successes": 0,
    "open_count": 0,
    "open_until": None,
    "probation_until": None,
    "lease_token": None,
    "lease_until": None,
}


@cache
def call_windows() -> dict[tuple[Scope, str, str], CallWindow]:
    """What this process saw, by (scope, provider, model)."""
    return defaultdict(CallWindow)


def _window(target: Target, scope: Scope) -> CallWindow:
    return call_windows()[scope, target.provider.name, target.model.name if scope is Scope.MODEL else ""]


def _with_its_window(target: Target, charge: Charge) -> Charge:
    """A target that fails every other time opens, too, though never twice in a row."""
    at = asyncio.get_running_loop().time()
    window = _window(target, charge.scope)
    window.add(has_failed=True, at=at)
    is_bad = window.is_mostly_failing(at=at, timeout_s=target.provider.timeout_s)
    return charge._replace(opens_at_once=charge.opens_at_once or is_bad)


async def _renew(leases: Iterable[Lease]) -> None:
    tokens = [lease.token for lease in leases]
    while True:
        await asyncio.sleep(_RENEWED_EVERY_S)
        held = Breaker.objects.filter(lease_token__in=tokens, state="half_open")
        await _commit_if_possible(lambda: held.update(lease_until=now() + _LEASE))  # noqa: B023 - awaited here


async def _commit_if_possible(work: Callable[[], T]) -> T | None:
    """An answer must not be lost because something about its provider's health could not be written."""
    try:
        result = await group_commit().commit(work)
    except DatabaseFailure as failure:
        logger.warning("The health of a provider is not on record: %s", failure)
        return None
    snapshot_keeper().refresh_soon()
    return result


async def _take(breaker: BreakerEntry, *, is_forced: bool) -> Lease | None:
    """The lease, for exactly one of all who ask. Who comes second in this process does not even ask the database."""
    if breaker.id in _being_taken:
        return None
    _being_taken.add(breaker.id)
    try:
        lease = Lease(breaker.id, uuid.uuid4())
        taken = await _commit_if_possible(partial(_lease, lease, now() + _LEASE, is_forced=is_forced))
        return lease if taken else None
    finally:
        # The snapshot of this process shows the lease from its next reading on, which the commit has asked for.
        asyncio.get_running_loop().call_later(1.0, _being_taken.discard, breaker.id)


def _lease(lease: Lease, until: datetime, *, is_forced: bool) -> bool:
    is_due = Q(state="open") if is_forced else Q(state="open", open_until__lte=now())
    free = Breaker.objects.filter(is_due | Q(state="half_open", lease_until__lte=now()), pk=lease.breaker_id)
    return _transit(free, to="half_open", reason="trial", lease_token=lease.token, lease_until=until)


def _release(tokens: Iterable[uuid.UUID]) -> None:
    if Breaker.objects.filter(lease_token__in=tokens, state="half_open").update(lease_until=now()):
        configuration_changed()


def _record_failure(target: Target, failure: ProviderFailure, charge: Charge | None, leases: tuple[Lease, ...]) -> None:
    if charge is not None:
        _charge(target, charge, failure.event, leases)
    _release([lease.token for lease in leases])  # one that was charged is open by now and not found
    _shut_gate(target, failure)
    learn(target, failure)


def _charge(target: Target, charge: Charge, event: Event, leases: tuple[Lease, ...]) -> None:
    model = target.model.name if charge.scope is Scope.MODEL else ""
    provider = Provider.objects.filter(name=target.provider.name).first()
    if provider is None:  # deleted since
        return
    breaker, _made = Breaker.objects.get_or_create(provider=provider, scope=charge.scope, model=model)
    limits = target.provider.limits
    held = [lease.token for lease in leases if lease.breaker_id == breaker.pk]
    if held:
        _open(Breaker.objects.filter(pk=breaker.pk, state="half_open", lease_token__in=held), breaker, limits, event)
        return
    # What began before the last transition has nothing to say about what is now.
    known = next((one for one in target.breakers if one.id == breaker.pk), None)
    same_epoch = Breaker.objects.filter(pk=breaker.pk, state="closed", epoch=known.epoch if known else 0)
    if not same_epoch.update(consecutive_failures=F("consecutive_failures") + 1):
        return
    is_on_probation = breaker.probation_until is not None and breaker.probation_until > now()
    needed = 1 if charge.opens_at_once or is_on_probation else limits.threshold
    if not _open(same_epoch.filter(consecutive_failures__gte=needed), breaker, limits, event):
        configuration_changed()  # so that every process knows of the count, and resets it after a success


def _open(chosen: QuerySet[Breaker], breaker: Breaker, limits: Limits, event: Event) -> bool:
    jitter = random.uniform(-1, 1)  # noqa: S311 - spreads trials, guards nothing
    period = open_period(limits, open_count=breaker.open_count, jitter=jitter)
    return _transit(
        chosen,
        to="open",
        reason=event.label,
        open_count=F("open_count") + 1,
        opened_at=now(),
        open_until=now() + period,
        consecutive_failures=0,
        trial_successes=0,
        lease_token=None,
        lease_until=None,
    )


def _record_success(target: Target, leases: tuple[Lease, ...]) -> None:
    RateGate.objects.filter(provider__name=target.provider.name).delete()
    counted = [breaker.id for breaker in target.breakers if breaker.is_counting]
    Breaker.objects.filter(pk__in=counted, state="closed", consecutive_failures__gt=0).update(consecutive_failures=0)
    # The probation is over and nothing happened: the next opening is a first one again.
    Breaker.objects.filter(pk__in=counted, state="closed", probation_until__lte=now()).update(
        open_count=0, probation_until=None
    )
    for lease in leases:
        _trial_succeeded(lease, target.provider.limits)
    configuration_changed()


def _trial_succeeded(lease: Lease, limits: Limits) -> None:
    held = Breaker.objects.filter(pk=lease.breaker_id, state="half_open", lease_token=lease.token)
    if not held.update(trial_successes=F("trial_successes") + 1, lease_until=now()):
        return  # the lease ran out, and another trial has the say
    _transit(
        held.filter(trial_successes__gte=limits.successes),
        to="closed",
        reason="trial",
        probation_until=now() + PROBATION,
        consecutive_failures=0,
        trial_successes=0,
        open_until=None,
        lease_token=None,
        lease_until=None,
    )


def _shut_gate(target: Target, failure: ProviderFailure) -> None:
    gate = RateGate.objects.filter(provider__name=target.provider.name).first()
    strikes = gate.strikes if gate else 0
    period = gate_period(failure.event, retry_after_s=failure.retry_after_s, strikes=strikes)
    provider = Provider.objects.filter(name=target.provider.name).first()
    if period is None or provider is None:
        return
    RateGate.objects.update_or_create(
        provider=provider,
        defaults={"until": now() + period, "reason": failure.event.reason, "strikes": strikes + 1},
    )
    configuration_changed()


def _transit(chosen: QuerySet[Breaker], *, to: str, reason: str, actor_name: str = "", **changes: Any) -> bool:
    """Moves the one breaker of the set, if it is still there; whoever comes second finds the set empty."""
    before = chosen.first()
    if to != BreakerState.HALF_OPEN:  # while it is tried out, why it was opened is still what there is to know
        changes["reason"] = reason
    if before is None or not chosen.update(state=to, epoch=F("epoch") + 1, **changes):
        return False
    BreakerEvent.objects.create(
        breaker=before, from_state=before.state, to_state=to, reason=reason, actor_name=actor_name
    )
    configuration_changed()
    return True
