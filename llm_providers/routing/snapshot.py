"""What routing knows: an immutable picture of all providers and their models, free of the database."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from llm_providers.routing.breaker import LOCAL_LIMITS, BreakerEntry, Limits
from llm_providers.types import Capability, PrivacyLabel


def runs_elsewhere(model_name: str) -> bool:
    """Whether the name says that a local server passes the text on to its vendor, as Ollama does with `…:cloud`."""
    return model_name.endswith((":cloud", "-cloud"))


@dataclass(frozen=True, slots=True)
class ModelEntry:
    name: str
    capabilities: frozenset[Capability]
    context_length: int | None = None
    is_remote: bool = False
    is_test: bool = False


@dataclass(frozen=True, slots=True)
class ProviderEntry:
    """A provider with the models it offers now; clocks in seconds."""

    name: str
    kind: str
    base_url: str
    is_local: bool
    accepts_up_to: PrivacyLabel
    is_on: bool = True
    priority: int = 100
    default_model: str = ""
    secret_env: str = ""
    timeout_s: float = 60.0
    connect_timeout_s: float = 1.0
    cold_timeout_s: float = 300.0
    stall_timeout_s: float = 30.0
    is_engine: bool = False
    limits: Limits = LOCAL_LIMITS
    breakers: tuple[BreakerEntry, ...] = ()
    gated_until: datetime | None = None
    gate_reason: str = ""
    models: tuple[ModelEntry, ...] = ()

    @property
    def is_gated(self) -> bool:
        """It asked lately not to be called for a while."""
        return self.gated_until is not None

    def model_named(self, name: str) -> ModelEntry | None:
        """The model of that name; `llama3.2` means `llama3.2:latest`, as it does to Ollama."""
        spelled = (name, f"{name}:latest")
        return next((model for model in self.models if model.name in spelled), None)


@dataclass(frozen=True, slots=True)
class FailoverPolicy:
    """What the file's `failover:` block says; times in seconds, None where it says nothing."""

    enabled: bool = True
    retry_on_error: bool = True
    max_retries: int = 2
    failure_threshold: int | None = None
    recovery_timeout_s: float | None = None


@dataclass(frozen=True)
class Snapshot:
    """`real_model_was_seen`: any provider but the built-in engine ever served a model, be it missing now."""

    providers: tuple[ProviderEntry, ...] = ()
    real_model_was_seen: bool = False
    failover: FailoverPolicy = FailoverPolicy()

    @cached_property
    def by_name(self) -> dict[str, ProviderEntry]:
        return {provider.name: provider for provider in self.providers}
