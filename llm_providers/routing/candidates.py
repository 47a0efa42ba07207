"""Who may answer a request, in which order, and why the others may not: pure, with a reason for each.

Privacy is judged first, so that a target that may not have the text is never in the chain at all.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from llm_providers.errors import BadRequest
from llm_providers.routing.breaker import Admittance, BreakerEntry
from llm_providers.routing.snapshot import ModelEntry, ProviderEntry, Snapshot, runs_elsewhere
from llm_providers.types import Capability, EmbedRequest, ModelRequest, PrivacyLabel

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class OrderPolicy:
    """The operator's order. A set `fallback_order` is the complete chain of those that nobody names."""

    default_provider: str = "ollama"
    fallback_order: tuple[str, ...] = ()
    failover_enabled: bool = True


@dataclass(frozen=True, slots=True)
class Target:
    provider: ProviderEntry
    model: ModelEntry

    @property
    def breakers(self) -> tuple[BreakerEntry, ...]:
        """Those of the endpoint and of this model there, as far as anything ever happened to them."""
        return tuple(breaker for breaker in self.provider.breakers if breaker.model in ("", self.model.name))

    def is_left_alone(self, *, at: datetime) -> bool:
        """Whether one of its breakers will still be open then."""
        return any(breaker.admittance(at=at) is Admittance.STAY_AWAY for breaker in self.breakers)

    @property
    def label(self) -> str:
        return f"{self.provider.name}/{self.model.name}"


@dataclass(frozen=True, slots=True)
class Skip:
    """A provider that is left out: `label` is its name, with the model where one was chosen; `reason` of the list."""

    label: str
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """A verdict on each provider in the order of the chain, and the rule that made the order."""

    verdicts: tuple[Target | Skip, ...]
    rule: str

    @property
    def candidates(self) -> tuple[Target, ...]:
        return tuple(verdict for verdict in self.verdicts if isinstance(verdict, Target))


def plan(snapshot: Snapshot, request: ModelRequest | EmbedRequest, policy: OrderPolicy) -> Plan:
    """The chain for `request`.

    Raises:
        BadRequest: the wanted model is offered by nobody.
    """
    providers, wanted, rule = _wish(snapshot, request.wanted_model, policy)
    verdicts = [_judge(provider, wanted, request) for provider in providers]
    if request.wanted_model == AUTO:
        verdicts = _with_test_model_last(verdicts, snapshot)
    return Plan(tuple(verdicts), f"label {request.privacy}; order: {rule}")


def in_failover_order(snapshot: Snapshot, policy: OrderPolicy) -> tuple[list[ProviderEntry], str]:
    """The providers that are asked when nobody names one, and which setting decided it."""
    by_name = snapshot.by_name
    engine = [provider for provider in snapshot.providers if provider.is_engine]
    if not policy.failover_enabled:
        chosen = [by_name[policy.default_provider]] if policy.default_provider in by_name else engine
        return chosen, "LLM_FAILOVER_ENABLED is off"
    if policy.fallback_order:
        names = dict.fromkeys((policy.default_provider, *policy.fallback_order))
        named = [by_name[name] for name in names if name in by_name and not by_name[name].is_engine]
        return _engine_after_local(named, engine), "LLM_FALLBACK_ORDER"
    others = sorted(
        (provider for provider in snapshot.providers if not provider.is_engine),
        key=lambda p: (p.name != policy.default_provider, p.priority, not p.is_local, p.name),
    )
    return _engine_after_local(others, engine), "priority"


def _engine_after_local(named: list[ProviderEntry], engine: list[ProviderEntry]) -> list[ProviderEntry]:
    """The built-in engine need not be named: it is the last of the local ones."""
    last_local = max((place for place, provider in enumerate(named) if provider.is_local), default=-1)
    return [*named[: last_local + 1], *engine, *named[last_local + 1 :]]


def _with_test_model_last(verdicts: list[Target | Skip], snapshot: Snapshot) -> list[Target | Skip]:
    """Random words are for a bare machine only: unnamed, the test model goes once a real one has been seen."""
    test = [verdict for verdict in verdicts if isinstance(verdict, Target) and verdict.model.is_test]
    others = [verdict for verdict in verdicts if verdict not in test]
    if snapshot.real_model_was_seen:
        return [*others, *(Skip(verdict.label, "test_model") for verdict in test)]
    return [*others, *test]


def _wish(snapshot: Snapshot, wanted: str, policy: OrderPolicy) -> tuple[Iterable[ProviderEntry], str | None, str]:
    """(providers in order, the model asked for or None, the rule) for a wanted model as the caller wrote it."""
    if wanted == AUTO:
        providers, rule = in_failover_order(snapshot, policy)
        return providers, None, rule
    if wanted in snapshot.by_name:
        return [snapshot.by_name[wanted]], None, "the provider was named"
    provider_name, _, model_name = wanted.partition("/")
    if model_name and provider_name in snapshot.by_name:
        return [snapshot.by_name[provider_name]], model_name, "provider and model were named"
    ordered, rule = in_failover_order(snapshot, policy)
    offering = [provider for provider in ordered if provider.model_named(wanted)]
    if not offering:
        raise BadRequest(f"No provider offers a model {wanted!r}. {_offered(ordered)}")
    return offering, wanted, f"the model was named; {rule}"


def _offered(providers: Iterable[ProviderEntry]) -> str:
    names = [f"{provider.name}/{model.name}" for provider in providers for model in provider.models]
    return f"There are: {', '.join(names[:20])}." if names else "None is known yet; is a model server running?"


def _judge(provider: ProviderEntry, wanted: str | None, request: ModelRequest | EmbedRequest) -> Target | Skip:
    if provider.accepts_up_to.rank < request.privacy.rank:
        return Skip(provider.name, "privacy")
    if not provider.is_on:
        return Skip(provider.name, "disabled")
    if not provider.base_url:
        return Skip(provider.name, "config")
    if wanted is not None:
        model = provider.model_named(wanted)
        return _fit(provider, model, request) if model else Skip(f"{provider.name}/{wanted}", "model_missing")
    return _best_of(provider, request)


def _best_of(provider: ProviderEntry, request: ModelRequest | EmbedRequest) -> Target | Skip:
    """The configured model first, else the first that fits; the reason of the first that does not."""
    default = provider.model_named(provider.default_model)
    if default is None and provider.default_model and not provider.models:
        # Nobody has listed this provider's models yet; the operator's word has to do.
        default = ModelEntry(
            provider.default_model,
            frozenset({request.capability}),
            is_remote=runs_elsewhere(provider.default_model),
        )
    others = [model for model in provider.models if model is not default]
    if provider.default_model and not provider.is_local and request.capability is Capability.CHAT:
        # Another model than the configured one may cost many times as much.
        if default is None:
            return Skip(f"{provider.name}/{provider.default_model}", "model_missing")
        others = []
    ranked = [default, *others] if default else others
    verdicts = [_fit(provider, model, request) for model in ranked]
    fitting = next((verdict for verdict in verdicts if isinstance(verdict, Target)), None)
    # What keeps a model that can do it from it says more than that another one can't.
    telling = sorted((verdict for verdict in verdicts if isinstance(verdict, Skip)), key=_is_incapable)
    return fitting or (telling[0] if telling else Skip(provider.name, "model_missing"))


def _is_incapable(skip: Skip) -> bool:
    return skip.reason == "capability"


def _fit(provider: ProviderEntry, model: ModelEntry, request: ModelRequest | EmbedRequest) -> Target | Skip:
    target = Target(provider, model)
    if model.is_remote and request.privacy is PrivacyLabel.PRIVATE:
        return Skip(target.label, "privacy")
    if not request.needs <= model.capabilities:
        return Skip(target.label, "capability")
    if model.context_length is not None and _least_tokens(request) > model.context_length:
        return Skip(target.label, "context_length")
    return target


def _least_tokens(request: ModelRequest | EmbedRequest) -> int:
    """A number of tokens that the input surely has: no tokenizer in use packs more than 16 characters into one."""
    if isinstance(request, EmbedRequest):
        return max((len(text) for text in request.inputs), default=0) // 16
    return sum(len(message.text) for message in request.messages) // 16
