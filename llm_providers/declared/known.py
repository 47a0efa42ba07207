"""The systems that a name in the file stands for without further words, and where each is found by default."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class KnownSystem:
    """`secret_env` and `model_env` name environment variables; `needs_secret`: it answers nobody without one."""

    kind: str
    base_url: str = ""
    port: int | None = None
    is_local: bool = True
    secret_env: str = ""
    model_env: str = ""
    speaks_openai: bool = False


# ruff: noqa: S106 - names of variables, not secrets
BY_NAME: Mapping[str, KnownSystem] = {
    "ollama": KnownSystem("ollama", "http://127.0.0.1:11434", port=11434, model_env="OLLAMA_MODEL"),
    "localai": KnownSystem(
        "localai", "http://127.0.0.1:8080/v1", port=8080, secret_env="LOCALAI_API_KEY", speaks_openai=True
    ),
    "claude": KnownSystem("anthropic", "https://api.anthropic.com", is_local=False, secret_env="ANTHROPIC_API_KEY"),
    "openai": KnownSystem(
        "openai", "https://api.openai.com/v1", is_local=False, secret_env="OPENAI_API_KEY", speaks_openai=True
    ),
}

_OTHER = KnownSystem("openai_compatible", speaks_openai=True)


@dataclass(frozen=True, slots=True)
class Retirement:
    """The day from which a vendor answers no more for a model, and what to take instead."""

    on: date
    instead: str


# As the vendors announced it:
# https://platform.openai.com/docs/deprecations
# https://docs.claude.com/en/docs/about-claude/model-deprecations
RETIRED: Mapping[str, Retirement] = {
    "gpt-4-turbo": Retirement(date(2026, 10, 23), "gpt-6.1-sol or gpt-6-luna"),
    "claude-sonnet-4-5-20250929": Retirement(date(2026, 11, 30), "claude-sonnet-5-5"),
    "claude-sonnet-4-5": Retirement(date(2026, 11, 30), "claude-sonnet-5-5"),
}


def system_of(name: str, kind: str) -> KnownSystem:
    """By `kind` where the file states one, else by the provider's name; any other name speaks the OpenAI form."""
    if not kind:
        return BY_NAME.get(name, _OTHER)
    return next((system for system in BY_NAME.values() if system.kind == kind), _OTHER)
