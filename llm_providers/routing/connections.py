"""From a routed provider to its adapter: the address from the snapshot, the secret from the environment."""

from django.conf import settings

from llm_providers.adapters.base import Adapter, Connection
from llm_providers.adapters.registry import adapters
from llm_providers.routing.snapshot import ProviderEntry


def adapter_for(provider: ProviderEntry) -> Adapter:
    return adapters()[provider.kind](connection_to(provider))


def connection_to(provider: ProviderEntry) -> Connection:
    """Where the provider is, with its secret fresh from the environment."""
    return Connection(
        provider=provider.name,
        base_url=provider.base_url,
        is_local=provider.is_local,
        accepts_up_to=provider.accepts_up_to,
        secret=settings.SECRET_ENVIRONMENT.get(provider.secret_env) if provider.secret_env else None,
        connect_timeout_s=provider.connect_timeout_s,
    )
