"""config/llm_providers.yaml in the form of the project's first document: which providers there are, and failover."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llm_providers.adapters.registry import adapters
from llm_providers.declared.address import is_on_own_network, normalised
from llm_providers.declared.known import KnownSystem, system_of
from llm_providers.declared.lines import Block, Source, WrongFile, boolean, load, one_of, seconds, whole
from llm_providers.types import PrivacyLabel

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,49}")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class DeclaredProvider:
    """One provider of the file. Times in seconds; `settings` holds what routing and adapters read by name.

    `literal_key`: a key that stands in the file itself. It works, and is never stored.
    """

    name: str
    kind: str
    base_url: str
    is_local: bool
    accepts_up_to: str
    enabled: bool
    priority: int
    model: str
    secret_env: str
    timeout_s: float | None
    settings: Mapping[str, Any]
    literal_key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class DeclaredFailover:
    """The `failover:` block; `recovery_timeout_s` is the longest time that a breaker stays open. None is "not said"."""

    enabled: bool = True
    retry_on_error: bool = True
    max_retries: int = 2
    failure_threshold: int | None = None
    recovery_timeout_s: float | None = None


@dataclass(frozen=True, slots=True)
class Declaration:
    providers: tuple[DeclaredProvider, ...] = ()
    failover: DeclaredFailover = field(default_factory=DeclaredFailover)


def read_declaration(path: Path, *, variables: Mapping[str, str]) -> Declaration:
    """What the file says, with `${VAR}` taken from `variables`.

    Raises:
        WrongFile: with every mistake in it.
    """
    source = Source(path.name, variables)
    top = load(path, source)
    if top is None:
        return Declaration()
    providers = top.block("providers")
    declared = _providers(source, providers) if providers else ()
    failover = _failover(top.block("failover"))
    top.refuse_the_rest()
    if source.mistakes:
        raise WrongFile(sorted(source.mistakes, key=lambda mistake: mistake.line))
    return Declaration(declared, failover)


def _providers(source: Source, block: Block) -> tuple[DeclaredProvider, ...]:
    found = []
    for name in block.names():
        node = block.node_of(name)
        if node is None:
            continue
        if name == "engine" or not _NAME.fullmatch(name):
            rule = "belongs to the built-in engine" if name == "engine" else "is small letters, digits, - and _"
            source.complain(node, f"A provider's name {name!r} {rule}.")
            continue
        found.append(_provider(source, name, Block(source, node, name)))
    return tuple(found)


def _provider(source: Source, name: str, block: Block) -> DeclaredProvider:
    kind = block.value("kind", one_of(*adapters()), "")
    system = system_of(name, kind)
    base_url = _base_url(block, system)
    is_local = block.value("local", boolean, system.is_local and is_on_own_network(base_url))
    default_label = PrivacyLabel.PRIVATE if is_local else PrivacyLabel.INTERNAL
    accepts = block.value("accepts_up_to", one_of(*PrivacyLabel), default_label.value)
    if accepts == PrivacyLabel.PRIVATE and not is_local:
        source.complain(block.node, f"`{name}` is not local, so it can't accept private texts.")
    if not base_url:
        source.complain(block.node, f"`{name}` has no address; write `base_url: http://host:port/v1`.")
    secret_env, literal_key = _secret(source, block, system)
    model = block.value("model", str, "")
    declared = DeclaredProvider(
        name=name,
        kind=kind or system.kind,
        base_url=base_url,
        is_local=is_local,
        accepts_up_to=accepts,
        enabled=block.value("enabled", boolean, default=True),
        priority=block.value("priority", whole(-1000, 1000), 100),
        model=source.variables.get(system.model_env, "") or model,
        secret_env=secret_env,
        timeout_s=block.value("timeout", seconds, None),
        settings=_settings(block),
        literal_key=literal_key,
    )
    block.refuse_the_rest()
    return declared


def _base_url(block: Block, system: KnownSystem) -> str:
    """`host` is the document's word for Ollama's address, `base_url` for all others; either will do."""
    found = [block.value(key, lambda text: normalised(text, system), "") for key in ("base_url", "host")]
    return next(filter(None, found), system.base_url)


def _secret(source: Source, block: Block, system: KnownSystem) -> tuple[str, str]:
    """(the variable that holds the key, a key that stands in the file itself)."""
    raw = block.raw("api_key")
    if raw is None:
        # A local server mostly wants none, so a variable that is not set is no reason not to call it.
        is_wanted = not system.is_local or source.variables.get(system.secret_env)
        return system.secret_env if is_wanted else "", ""
    variable = _VARIABLE.fullmatch(raw)
    return (variable[1], "") if variable else ("", raw)


def _settings(block: Block) -> dict[str, Any]:
    """What was stated; a default that is not stored can be bettered later."""
    stated: dict[str, Any] = {
        "connect_timeout": block.value("connect_timeout", seconds, None),
        "stall_timeout": block.value("stall_timeout", seconds, None),
        "cold_timeout": block.value("cold_timeout", seconds, None),
        "slots": block.value("slots", whole(1, 1000), None),
    }
    breaker = block.block("circuit_breaker")
    if breaker:
        stated["failure_threshold"] = breaker.value("failure_threshold", whole(1, 1000), None)
        stated["recovery_timeout"] = breaker.value("recovery_timeout", seconds, None)
        breaker.refuse_the_rest()
    return {name: value for name, value in stated.items() if value is not None}


def _failover(block: Block | None) -> DeclaredFailover:
    if block is None:
        return DeclaredFailover()
    default = DeclaredFailover()
    threshold, recovery_s = default.failure_threshold, default.recovery_timeout_s
    breaker = block.block("circuit_breaker")
    if breaker:
        threshold = breaker.value("failure_threshold", whole(1, 1000), threshold)
        recovery_s = breaker.value("recovery_timeout", seconds, recovery_s)
        breaker.refuse_the_rest()
    declared = DeclaredFailover(
        enabled=block.value("enabled", boolean, default.enabled),
        retry_on_error=block.value("retry_on_error", boolean, default.retry_on_error),
        max_retries=block.value("max_retries", whole(0, 20), default.max_retries),
        failure_threshold=threshold,
        recovery_timeout_s=recovery_s,
    )
    block.refuse_the_rest()
    return declared
