"""Keeps the snapshot of this process true: it is read again whenever its topic's number has changed."""

import asyncio
import logging
import threading
from contextlib import suppress
from dataclasses import fields
from datetime import timedelta
from functools import cache

from channels.db import database_sync_to_async
from django.db import models, transaction

from architect.live.services import touch
from architect.live.watcher import watcher
from llm_providers.models import Breaker, FailoverSettings, Provider, ServedModel
from llm_providers.routing.breaker import LOCAL_LIMITS, REMOTE_LIMITS, BreakerEntry, BreakerState, Limits, Scope
from llm_providers.routing.snapshot import FailoverPolicy, ModelEntry, ProviderEntry, Snapshot
from llm_providers.types import Capability, PrivacyLabel

logger = logging.getLogger(__name__)
TOPIC = "providers"
NOTHING_STATED = FailoverPolicy()
_LOCAL_TIMEOUT_S, _REMOTE_TIMEOUT_S = 60.0, 120.0
_COLD_TIMEOUT_S = 300.0  # as long as Ollama gives a model to load


def configuration_changed() -> None:
    """Call it in the transaction of every change of providers or models; all processes follow within a second."""
    touch(TOPIC)
    transaction.on_commit(snapshot_keeper().mark_stale)


class SnapshotKeeper:
    """The hot path reads an attribute; the database is read after a change only.

    Nobody gets a picture from before a change that this process made or has heard of, not even while the next one
    is being read.
    """

    def __init__(self) -> None:
        self._snapshot = Snapshot()
        self._changes = 1
        self._changes_read = 0
        self._is_listening = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._refreshing: asyncio.Task[Snapshot] | None = None
        self._loading = threading.Lock()
        self._counting = threading.Lock()

    async def current(self) -> Snapshot:
        self._loop = asyncio.get_running_loop()
        if self._changes_read != self._changes:
            await database_sync_to_async(self.load)()
        return self._snapshot

    def refresh_soon(self) -> None:
        """Reads it in the background, so that the next request need not wait for it."""
        if self._changes_read != self._changes and self._refreshing is None:
            self._refreshing = asyncio.create_task(self.current())
            self._refreshing.add_done_callback(self._refreshed)

    def _refreshed(self, task: asyncio.Task[Snapshot]) -> None:
        self._refreshing = None
        if not task.cancelled() and (failure := task.exception()) is not None:
            logger.warning("The providers are read by the next request instead: %s", failure)

    def load(self) -> Snapshot:
        """The snapshot, read from the database if something changed since the last time."""
        with self._loading:
            if not self._is_listening:
                watcher().listen(frozenset({TOPIC}), self._heard)
                self._is_listening = True
            # Counted before the read: a change during it is read next time.
            changes = self._changes
            if self._changes_read != changes:
                self._snapshot = read_snapshot()
                self._changes_read = changes
            return self._snapshot

    def mark_stale(self) -> None:
        with self._counting:
            self._changes += 1

    def _heard(self, _topic: str) -> None:
        """On the watcher's thread: another process, or this one a moment ago, has changed something."""
        self.mark_stale()
        with suppress(RuntimeError):  # the loop has ended
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self.refresh_soon)


@cache
def snapshot_keeper() -> SnapshotKeeper:
    """The one of this process."""
    return SnapshotKeeper()


def read_snapshot() -> Snapshot:
    offered = models.Prefetch("served_models", queryset=ServedModel.objects.filter(missing_since=None))
    failover = _failover_policy()
    providers = tuple(
        provider_entry(row, tuple(map(_model_entry, row.served_models.all())), failover=failover)
        for row in Provider.objects.select_related("gate").prefetch_related(offered, "breakers")
    )
    return Snapshot(
        providers,
        real_model_was_seen=ServedModel.objects.of_others_than_the_engine().exists(),
        failover=failover,
    )


def _failover_policy() -> FailoverPolicy:
    stored = FailoverSettings.objects.filter(pk=1).values(*(field.name for field in fields(FailoverPolicy))).first()
    return FailoverPolicy(**stored) if stored else NOTHING_STATED


def provider_entry(
    row: Provider, offered: tuple[ModelEntry, ...] = (), *, failover: FailoverPolicy = NOTHING_STATED
) -> ProviderEntry:
    gate = getattr(row, "gate", None)
    return ProviderEntry(
        name=row.name,
        kind=row.kind,
        base_url=row.base_url,
        is_local=row.is_local,
        accepts_up_to=PrivacyLabel(row.accepts_up_to),
        is_on=row.is_on,
        priority=row.priority,
        default_model=row.default_model,
        secret_env=row.secret_env,
        timeout_s=row.timeout_s or (_LOCAL_TIMEOUT_S if row.is_local else _REMOTE_TIMEOUT_S),
        connect_timeout_s=row.settings.get("connect_timeout") or (1.0 if row.is_local else 3.0),
        cold_timeout_s=row.settings.get("cold_timeout") or _COLD_TIMEOUT_S,
        stall_timeout_s=row.settings.get("stall_timeout") or (30.0 if row.is_local else 20.0),
        is_engine=row.is_engine,
        limits=_limits(row, failover),
        breakers=tuple(map(_breaker_entry, row.breakers.all())),
        gated_until=gate.until if gate else None,
        gate_reason=gate.reason if gate else "",
        models=offered,
    )


def _limits(row: Provider, failover: FailoverPolicy) -> Limits:
    """The provider's own, else the file's for all where it states any, else what suits where it runs."""
    default = LOCAL_LIMITS if row.is_local else REMOTE_LIMITS
    longest_s = row.settings.get("recovery_timeout") or failover.recovery_timeout_s
    longest = timedelta(seconds=longest_s) if longest_s else default.longest
    return Limits(
        threshold=row.settings.get("failure_threshold") or failover.failure_threshold or default.threshold,
        base=min(default.base, longest),
        longest=longest,
        successes=default.successes,
    )


def _breaker_entry(row: Breaker) -> BreakerEntry:
    return BreakerEntry(
        id=row.pk,
        scope=Scope(row.scope),
        model=row.model,
        state=BreakerState(row.state),
        forced=row.forced,
        epoch=row.epoch,
        open_until=row.open_until,
        lease_until=row.lease_until,
        is_counting=row.consecutive_failures > 0 or row.probation_until is not None,
    )


def _model_entry(row: ServedModel) -> ModelEntry:
    known = set(Capability)
    return ModelEntry(
        name=row.name,
        capabilities=frozenset(Capability(name) for name in row.capabilities if name in known),
        context_length=min(filter(None, (row.context_length, row.observed_context)), default=None),
        is_remote=row.is_remote,
        is_test=row.is_test,
    )
