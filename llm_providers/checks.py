"""Misconfigurations of this room, told at start with what to do."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004 - Django's name

from llm_providers.declared.current import declaration
from llm_providers.declared.lines import WrongFile
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
    if settings.LLM_FALLBACK_ORDER and settings.LLM_DEFAULT_PROVIDER not in settings.LLM_FALLBACK_ORDER:
        text = f"LLM_DEFAULT_PROVIDER {settings.LLM_DEFAULT_PROVIDER} does not occur in LLM_FALLBACK_ORDER."
        return [Warning(text, hint="It is asked first all the same; name it first there.", id="llm.W002")]
    return []
