"""What people change about providers: each act in one transaction with its audit entry."""

from django.db import transaction

from architect.accounts.models import User
from architect.accounts.services import audit
from llm_providers.health import breakers
from llm_providers.models import Breaker, Provider
from llm_providers.routing.keeper import configuration_changed

_AUDITED = (
    "name",
    "kind",
    "base_url",
    "secret_env",
    "is_local",
    "accepts_up_to",
    "default_model",
    "enabled",
    "enabled_override",
    "priority",
    "timeout_s",
)


@transaction.atomic
def save_provider(provider: Provider, *, person: User) -> None:
    """Saves a provider as `person` left it in a form."""
    stored = Provider.objects.filter(pk=provider.pk).first()
    before = _audited(stored) if stored else {}
    provider.version = stored.version + 1 if stored else 1
    provider.save()
    act = "changed a provider" if stored else "added a provider"
    audit(person, action=act, target=f"provider {provider.name}", before=before, after=_audited(provider))
    configuration_changed()


@transaction.atomic
def delete_provider(provider: Provider, *, person: User) -> None:
    audit(person, action="deleted a provider", target=f"provider {provider.name}", before=_audited(provider))
    provider.delete()
    configuration_changed()


@transaction.atomic
def reset_breaker(breaker: Breaker, *, person: User) -> None:
    """Closes it as if nothing had ever happened, and takes a forced state from it."""
    audit(person, action="reset a breaker", target=f"breaker {breaker}", before=_state(breaker))
    breakers.reset(breaker, actor_name=person.username)


@transaction.atomic
def force_breaker(breaker: Breaker, state: str, *, person: User) -> None:
    """Keeps it `open` or `closed` whatever happens, until it is reset."""
    audit(person, action=f"forced a breaker {state}", target=f"breaker {breaker}", before=_state(breaker))
    Breaker.objects.filter(pk=breaker.pk).update(forced=state)
    configuration_changed()


def _state(breaker: Breaker) -> dict[str, object]:
    return {"state": breaker.state, "forced": breaker.forced, "reason": breaker.reason}


def _audited(provider: Provider) -> dict[str, object]:
    return {field: getattr(provider, field) for field in _AUDITED}
