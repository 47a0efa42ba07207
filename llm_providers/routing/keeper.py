"""Keeps the snapshot of this process true: it is read again whenever its topic's number has changed."""

import threading
from dataclasses import fields
from functools import cache

from channels.db import database_sync_to_async
from django.db import models, transaction

from architect.live.services import touch
from architect.live.watcher import watcher
from llm_providers.models import FailoverSettings, Provider, ServedModel
from llm_providers.routing.snapshot import FailoverPolicy, ModelEntry, ProviderEntry, Snapshot
from llm_providers.types import Capability, PrivacyLabel

TOPIC = "providers"
_LOCAL_TIMEOUT_S, _REMOTE_TIMEOUT_S = 60.0, 120.0


def configuration_changed() -> None:
    """Call it in the transaction of every change of providers or models; all processes follow within a second."""
    touch(TOPIC)
    transaction.on_commit(snapshot_keeper().mark_stale)


class SnapshotKeeper:
    """The hot path reads an attribute; the database is read after a change only."""

    def __init__(self) -> None:
        self._snapshot = Snapshot()
        self._is_stale = True
        self._is_listening = False
        self._loading = threading.Lock()

    async def current(self) -> Snapshot:
        if self._is_stale:
            await database_sync_to_async(self.load)()
        return self._snapshot

    def load(self) -> Snapshot:
        """The snapshot, read from the database if something changed since the last time."""
        with self._loading:
            if not self._is_listening:
                watcher().listen(frozenset({TOPIC}), self.mark_stale)
                self._is_listening = True
            if self._is_stale:
                # Marked fresh before the read: a change during it makes it stale again.
                self._is_stale = False
                try:
                    self._snapshot = read_snapshot()
                except BaseException:
                    self._is_stale = True
                    raise
            return self._snapshot

    def mark_stale(self, _topic: str = TOPIC) -> None:
        self._is_stale = True


@cache
def snapshot_keeper() -> SnapshotKeeper:
    """The one of this process."""
    return SnapshotKeeper()


def read_snapshot() -> Snapshot:
    offered = models.Prefetch("served_models", queryset=ServedModel.objects.filter(missing_since=None))
    providers = tuple(
        provider_entry(row, tuple(map(_model_entry, row.served_models.all())))
        for row in Provider.objects.prefetch_related(offered)
    )
    return Snapshot(
        providers,
        real_model_was_seen=ServedModel.objects.of_others_than_the_engine().exists(),
        failover=_failover_policy(),
    )


def _failover_policy() -> FailoverPolicy:
    stored = FailoverSettings.objects.filter(pk=1).values(*(field.name for field in fields(FailoverPolicy))).first()
    return FailoverPolicy(**stored) if stored else FailoverPolicy()


def provider_entry(row: Provider, offered: tuple[ModelEntry, ...] = ()) -> ProviderEntry:
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
        stall_timeout_s=row.settings.get("stall_timeout") or (30.0 if row.is_local else 20.0),
        is_engine=row.is_engine,
        models=offered,
    )


def _model_entry(row: ServedModel) -> ModelEntry:
    known = set(Capability)
    return ModelEntry(
        name=row.name,
        capabilities=frozenset(Capability(name) for name in row.capabilities if name in known),
        context_length=row.context_length,
        is_remote=row.is_remote,
        is_test=row.is_test,
    )
