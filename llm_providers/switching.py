"""Switching a provider on and off, safely for two people at once: the one way, for the pages and for the admin."""

from dataclasses import dataclass
from enum import Enum

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _

from architect.accounts.models import User
from architect.accounts.services import audit
from llm_providers.models import Provider
from llm_providers.models.provider import Health
from llm_providers.routing.connections import has_its_key
from llm_providers.routing.keeper import configuration_changed
from llm_providers.types import PrivacyLabel


class Outcome(Enum):
    """What became of a wish."""

    DONE = "done"
    ALREADY_SO = "already so"
    CONFLICT = "conflict"
    """Somebody else changed the provider after it was shown."""
    UNCONFIRMED = "unconfirmed"
    """Something would stop working; a confirmation with a reason is wanted."""
    NOT_SET_UP = "not set up"


@dataclass(frozen=True, slots=True)
class Wish:
    """`version` is the one that the person saw; `reason` is wanted where `is_confirmed`."""

    on: bool
    version: int
    is_confirmed: bool = False
    reason: str = ""


def wish_of(text: str, *, reason: str = "") -> Wish | None:
    """What the value of a button says: `on:3` or `off:3` for the version that was seen, `off:3:confirmed` where the
    person insists; None for anything else.
    """
    word, _colon, rest = text.partition(":")
    version, _colon, insisted = rest.partition(":")
    if word not in ("on", "off") or not (version.isascii() and version.isdecimal()):
        return None
    return Wish(on=word == "on", version=int(version), is_confirmed=insisted == "confirmed", reason=reason[:500])


@dataclass(frozen=True, slots=True)
class Switched:
    """`provider` as it is now; `text` says in a sentence what happened, or what stands against it."""

    provider: Provider
    outcome: Outcome
    text: str


@transaction.atomic
def switch(provider_id: int, wish: Wish, *, person: User) -> Switched:
    """Does what is wished, or says why not; every attempt is audited.

    Raises:
        Provider.DoesNotExist
    """
    provider = Provider.objects.select_for_update().get(pk=provider_id)
    if provider.is_on == wish.on:
        return Switched(provider, Outcome.ALREADY_SO, _now(provider))
    refused = _standing_against(provider, wish)
    if refused is not None:
        audit(person, action=f"{_tried(wish)}: {refused.outcome.value}", target=f"provider {provider}")
        return refused
    seen = Provider.objects.filter(pk=provider.pk, version=wish.version)
    seen.update(enabled_override=wish.on, version=F("version") + 1)
    before, after = {"on": provider.is_on}, {"on": wish.on}
    audit(person, action=_act(wish), target=f"provider {provider}", before=before, after=after, reason=wish.reason)
    configuration_changed()
    provider.refresh_from_db()
    return Switched(provider, Outcome.DONE, _now(provider))


def what_would_break(provider: Provider) -> str:
    """What no longer works once `provider` is off, in a sentence; empty where nothing is lost."""
    in_use = [one for one in Provider.objects.prefetch_related("served_models") if _is_in_use(one)]
    if provider not in in_use:
        return ""
    others = [one for one in in_use if one != provider]
    if not others:
        return _("No other provider is in use: no question could be answered.")
    if provider.is_local and not any(one.is_local for one in others):
        return _("No other local provider is in use: every text would go to a paid one.")
    if _takes_private(provider) and not any(map(_takes_private, others)):
        return _("No other provider may have private texts: they could not be answered.")
    return ""


def _standing_against(provider: Provider, wish: Wish) -> Switched | None:
    if provider.version != wish.version:
        text = _("Somebody else changed it in the meantime. %(now)s") % {"now": _now(provider)}
        return Switched(provider, Outcome.CONFLICT, text)
    if wish.on:
        if has_its_key(provider.name, provider.secret_env):
            return None
        text = _("Set %(variable)s in the environment first.") % {"variable": provider.secret_env}
        return Switched(provider, Outcome.NOT_SET_UP, text)
    broken = what_would_break(provider)
    if broken and not (wish.is_confirmed and wish.reason.strip()):
        return Switched(provider, Outcome.UNCONFIRMED, broken)
    return None


def _is_in_use(provider: Provider) -> bool:
    """Whether it can answer with sense: a place where nobody ever answered and a test model cannot."""
    if not provider.is_on or provider.health == Health.ABSENT:
        return False
    offered = [model for model in provider.served_models.all() if model.missing_since is None]
    return not provider.is_engine or any(not model.is_test for model in offered)


def _takes_private(provider: Provider) -> bool:
    return provider.accepts_up_to == PrivacyLabel.PRIVATE.value


def _tried(wish: Wish) -> str:
    return f"tried to switch {'on' if wish.on else 'off'} a provider"


def _act(wish: Wish) -> str:
    return "switched on a provider" if wish.on else "switched off a provider"


def _now(provider: Provider) -> str:
    return (_("%(name)s is on.") if provider.is_on else _("%(name)s is off.")) % {"name": provider.name}
