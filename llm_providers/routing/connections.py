"""From a routed provider to its adapter: the address from the snapshot, the secret from the environment."""

from functools import lru_cache

from django.conf import settings

from llm_providers.adapters.base import Adapter, Connection
from llm_providers.adapters.registry import adapters
from llm_providers.declared.current import literal_key
from llm_providers.routing.snapshot import ProviderEntry


def adapter_for(provider: ProviderEntry) -> Adapter:
    return adapter_of(provider.kind, connection_to(provider))


@lru_cache(maxsize=256)
def adapter_of(kind: str, connection: Connection) -> Adapter:
    """The same instance for as long as nothing about the connection changes, for what it learns of its provider."""
    return adapters()[kind](connection)


def has_its_key(name: str, secret_env: str) -> bool:
    """Whether the provider can be called at all: where it names a variable, that has a value."""
    return not secret_env or bool(_secret_of(name, secret_env))


def _secret_of(name: str, secret_env: str) -> str | None:
    if secret_env:
        return settings.SECRET_ENVIRONMENT.get(secret_env) or None
    return literal_key(name)


def connection_to(provider: ProviderEntry) -> Connection:
    """Where the provider is, with its secret fresh from the environment."""
    return Connection(
        provider=provider.name,
        base_url=provider.base_url,
        is_local=provider.is_local,
        accepts_up_to=provider.accepts_up_to,
        secret=_secret_of(provider.name, provider.secret_env),
        connect_timeout_s=provider.connect_timeout_s,
    )
