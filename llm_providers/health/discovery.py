"""Asks a provider which models it offers, and keeps the answer. It is a free call that loads nothing."""

import asyncio
import logging
import time
from collections.abc import Iterable
from datetime import datetime

from asgiref.sync import async_to_sync
from django.db import transaction
from django.utils.timezone import now

from llm_providers.errors import Event, ProviderFailure
from llm_providers.health.breakers import make_eligible
from llm_providers.health.heartbeats import SLOW_S, Beat, count
from llm_providers.models import Provider, ServedModel
from llm_providers.models.provider import Health
from llm_providers.routing.connections import adapter_for, has_its_key
from llm_providers.routing.keeper import configuration_changed, provider_entry
from llm_providers.routing.snapshot import ProviderEntry, runs_elsewhere
from llm_providers.types import ModelDescription

logger = logging.getLogger(__name__)
_PATIENCE_S = 5.0
_NOBODY_THERE = (Event.REFUSED, Event.CONNECT_TIMEOUT)


def discover(provider: Provider) -> None:
    """Brings the provider's health up to date, and its models where it answers; they stay what they were where not.

    What the built-in engine serves is what its own process announced, which knows more than the wire tells.
    """
    reason = _not_set_up(provider)
    if reason is not None:
        if not provider.is_engine:  # the engine itself says why it has no address
            save_health(provider, Health.ABSENT, reason)
        return
    offered: tuple[ModelDescription, ...] = ()
    began = time.monotonic()
    try:
        offered = async_to_sync(_ask)(provider_entry(provider))
        found = Health.UP, ""
    except ProviderFailure as failure:
        found = _health_after(failure, provider)
    except TimeoutError:
        found = Health.DOWN, f"It did not answer within {_PATIENCE_S:g} s."
    if _save(provider, offered, *found) and found[0] is not Health.ABSENT:
        count(provider, _beat(found[0], took_s=time.monotonic() - began), at=now())


def _beat(health: Health, *, took_s: float) -> Beat:
    if health is not Health.UP:
        return Beat.DOWN
    return Beat.SLOW if took_s > SLOW_S else Beat.UP


@transaction.atomic
def _save(provider: Provider, offered: Iterable[ModelDescription], health: Health, text: str) -> bool:
    """False where it was found out at an address that is no longer the provider's, which is worth nothing."""
    if not Provider.objects.select_for_update().filter(pk=provider.pk, base_url=provider.base_url).exists():
        return False
    save_health(provider, health, text)
    if health is Health.UP:
        if not provider.is_engine:
            save_models(provider, offered)
        make_eligible(provider)
    return True


def _not_set_up(provider: Provider) -> str | None:
    """What is missing before it can be asked at all."""
    if not provider.base_url:
        return "It has no address yet."
    return None if has_its_key(provider.name, provider.secret_env) else f"Set {provider.secret_env} to use it."


def _health_after(failure: ProviderFailure, provider: Provider) -> tuple[Health, str]:
    """A port where nobody ever answered is not down: most machines run one server of the few that we know."""
    if failure.event in _NOBODY_THERE and not provider.served_models.exists():
        return Health.ABSENT, f"Nothing answers at {provider.base_url} yet."
    if failure.event in _NOBODY_THERE:
        return Health.DOWN, f"Nothing answers at {provider.base_url}."
    if failure.event is Event.UNAUTHORISED and provider.secret_env:
        return Health.DOWN, f"{failure.detail}: check {provider.secret_env}."
    return Health.DOWN, failure.detail


@transaction.atomic
def save_models(provider: Provider, offered: Iterable[ModelDescription], *, is_test: bool = False) -> None:
    """What is offered now is there, what was offered before and is not any more is marked missing."""
    frozen_now = now()
    offered = tuple(offered)
    before = _offered_now(provider)
    for model in offered:
        _save_model(provider, model, is_test=is_test, at=frozen_now)
    gone = provider.served_models.filter(missing_since=None).exclude(name__in=[model.name for model in offered])
    gone.update(missing_since=frozen_now)
    if before != _offered_now(provider):
        configuration_changed()


@transaction.atomic
def save_health(provider: Provider, health: Health, text: str) -> None:
    changed = (provider.health, provider.health_text) != (health.value, text[:500])
    Provider.objects.filter(pk=provider.pk).update(health=health, health_text=text[:500], checked_at=now())
    if changed:
        configuration_changed()


async def _ask(provider: ProviderEntry) -> tuple[ModelDescription, ...]:
    async with asyncio.timeout(_PATIENCE_S):
        return await adapter_for(provider).models()


def _save_model(provider: Provider, model: ModelDescription, *, is_test: bool, at: datetime) -> None:
    known = ServedModel.objects.filter(provider=provider, name=model.name)
    # Loaded anew with another length, so what was learnt of the old one is void.
    known.exclude(context_length=model.context_length).update(observed_context=None)
    ServedModel.objects.update_or_create(
        provider=provider,
        name=model.name,
        defaults={
            "capabilities": sorted(capability.value for capability in model.capabilities),
            "context_length": model.context_length,
            "max_output": model.max_output,
            "is_test": is_test,
            "is_remote": model.is_remote or runs_elsewhere(model.name),
            "missing_since": None,
            "seen_at": at,
        },
    )


def _offered_now(provider: Provider) -> set[tuple[object, ...]]:
    """What routing knows of the provider's models, to see whether anything changed."""
    rows = provider.served_models.filter(missing_since=None)
    return {(row.name, tuple(row.capabilities), row.context_length, row.max_output, row.is_test) for row in rows}
