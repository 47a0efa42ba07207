"""From the file to the rows: what it names is added or brought up to date, what it no longer names is switched off."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from django.db import transaction

from llm_providers.declared.file import Declaration, DeclaredProvider
from llm_providers.models import FailoverSettings, Provider
from llm_providers.routing.keeper import configuration_changed


@dataclass(frozen=True, slots=True)
class Synced:
    """What a run changed, by provider names; `differing` were toggled by an operator and stay as they were left."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    switched_off: tuple[str, ...] = ()
    differing: tuple[str, ...] = ()


@transaction.atomic
def sync(declared: Declaration) -> Synced:
    """Makes the rows say what the file says; an operator's switch (`enabled_override`) is left as it is."""
    rows = {row.name: row for row in Provider.objects.select_for_update()}
    added, changed = [], []
    for wanted in declared.providers:
        row = rows.get(wanted.name)
        if row is None:
            Provider.objects.create(name=wanted.name, **_fields(wanted))
            added.append(wanted.name)
        elif _bring_up_to_date(row, _fields(wanted)):
            changed.append(wanted.name)
    named = {wanted.name for wanted in declared.providers}
    gone = [row for row in rows.values() if row.is_declared and row.name not in named and row.enabled]
    for row in gone:
        _bring_up_to_date(row, {"enabled": False})
    failover_changed = _store_failover(asdict(declared.failover))
    if added or changed or gone or failover_changed:
        configuration_changed()
    differing = [row.name for row in rows.values() if row.differs_from_file]
    return Synced(tuple(added), tuple(changed), tuple(row.name for row in gone), tuple(differing))


def _fields(wanted: DeclaredProvider) -> dict[str, Any]:
    return {
        "kind": wanted.kind,
        "base_url": wanted.base_url,
        "secret_env": wanted.secret_env,
        "is_local": wanted.is_local,
        "accepts_up_to": wanted.accepts_up_to,
        "default_model": wanted.model,
        "enabled": wanted.enabled,
        "is_declared": True,
        "priority": wanted.priority,
        "timeout_s": wanted.timeout_s,
        "settings": dict(wanted.settings),
    }


def _bring_up_to_date(row: Provider, fields: Mapping[str, Any]) -> bool:
    """Whether anything had to be changed."""
    differing = {name: value for name, value in fields.items() if getattr(row, name) != value}
    if not differing:
        return False
    for name, value in differing.items():
        setattr(row, name, value)
    row.version += 1
    row.save(update_fields=[*differing, "version"])
    return True


def _store_failover(fields: Mapping[str, Any]) -> bool:
    if FailoverSettings.objects.filter(pk=1, **fields).exists():
        return False
    FailoverSettings.objects.update_or_create(pk=1, defaults=fields)
    return True
