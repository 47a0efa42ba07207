"""Misconfigurations of this room, told at start with what to do."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004 - Django's name

from llm_providers.declared.current import declaration
from llm_providers.declared.file import DeclaredProvider
from llm_providers.declared.known import RETIRED
from llm_providers.declared.lines import WrongFile
from llm_providers.models.provider import ENGINE
from llm_providers.types import PrivacyLabel


@register()
def check_choices(**_: Any) -> list[CheckMessage]:
    """Settings that must be one of a few words."""
    choices = {
        "LLM_DURABILITY": ("disk", "process"),
        "LLM_DEFAULT_PRIVACY": tuple(PrivacyLabel),
        "ENGINE_ENABLED": ("auto", "true", "false"),
    }
    return [
        Error(f"{name} is {getattr(settings, name)!r}.", hint=f"Write one of {', '.join(allowed)}.", id=f"llm.E00{n}")
        for n, (name, allowed) in enumerate(choices.items(), start=1)
        if getattr(settings, name) not in allowed
    ]


@register()
def check_engine_model(**_: Any) -> list[CheckMessage]:
    named = settings.ENGINE_MODEL
    if not named or Path(named).is_file() or (Path(settings.MODELS_DIR) / named).is_file():
        return []
    hint = f"Name a .gguf file by its path, or one that lies in {settings.MODELS_DIR}."
    return [Warning(f"ENGINE_MODEL names no file: {named}", hint=hint, id="llm.W001")]


@register()
def check_providers_file(**_: Any) -> list[CheckMessage]:
    try:
        declared = declaration()
    except WrongFile as failure:
        hint = f"Mend {settings.LLM_PROVIDERS_FILE}; until then nothing of it is used."
        return [Error(str(mistake), hint=hint, id="llm.E010") for mistake in failure.mistakes]
    return [
        Warning(
            f"The key of {provider.name} stands in {settings.LLM_PROVIDERS_FILE} itself.",
            hint="Put it into a variable and write `api_key: ${THE_VARIABLE}`.",
            id="llm.W012",
        )
        for provider in declared.providers
        if provider.literal_key
    ]


@register()
def check_order(**_: Any) -> list[CheckMessage]:
    """An order that names nobody, leaves somebody out or asks a paid provider before the team's own machines."""
    order, default = settings.LLM_FALLBACK_ORDER, settings.LLM_DEFAULT_PROVIDER
    found: list[CheckMessage] = []
    if order and default not in order:
        text = f"LLM_DEFAULT_PROVIDER {default} does not occur in LLM_FALLBACK_ORDER."
        found.append(Warning(text, hint="It is asked first all the same; name it first there.", id="llm.W002"))
    enabled = {provider.name: provider for provider in _declared() if provider.enabled}
    if not enabled:
        return found
    for name in dict.fromkeys((default, *order)):
        if name not in (*enabled, ENGINE):
            hint = (
                f"Declare and enable it in {settings.LLM_PROVIDERS_FILE}, or add it in the admin; else mend the name."
            )
            found.append(Warning(f"No provider that is declared is called {name}.", hint=hint, id="llm.W003"))
    omitted = [name for name in enabled if order and name not in (default, *order)]
    if omitted:
        text = f"LLM_FALLBACK_ORDER leaves out {', '.join(omitted)}."
        hint = "They answer only when they are named; add them to the order, or switch them off in the file."
        found.append(Warning(text, hint=hint, id="llm.W010"))
    return [*found, *_remote_before_local([enabled[name] for name in (default, *order) if name in enabled])]


def _remote_before_local(ordered: Sequence[DeclaredProvider]) -> Iterator[CheckMessage]:
    first_remote = next((provider for provider in ordered if not provider.is_local), None)
    if first_remote is None:
        return
    for later in ordered[ordered.index(first_remote) :]:
        if later.is_local:
            text = f"LLM_FALLBACK_ORDER asks {first_remote.name}, which is remote, before {later.name}, which is local."
            yield Warning(text, hint="Put the local ones first, unless that is what you want.", id="llm.W011")
            return


@register()
def check_retired_models(**_: Any) -> list[CheckMessage]:
    return [
        Warning(
            f"{provider.name}: the model {provider.model} is not offered from {retirement.on} on.",
            hint=f"Write another `model:` in {settings.LLM_PROVIDERS_FILE}, such as {retirement.instead}.",
            id="llm.W013",
        )
        for provider in _declared()
        if provider.enabled and (retirement := RETIRED.get(provider.model))
    ]


def _declared() -> Sequence[DeclaredProvider]:
    """Nothing while the file is wrong, which another check tells."""
    try:
        return declaration().providers
    except WrongFile:
        return ()
