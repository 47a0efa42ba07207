"""Requests as the tests of the client make them, and the providers that they go to."""

from contextlib import aclosing
from typing import Any

from channels.db import database_sync_to_async

from llm_providers.client import UnifiedLLMClient
from llm_providers.health.discovery import save_models
from llm_providers.models import Provider
from llm_providers.types import (
    Capability,
    ClientEvent,
    Message,
    ModelDescription,
    ModelRequest,
    Principal,
    PrivacyLabel,
    Purpose,
    Role,
)


def ask(text: str = "Say hello.", **fields: Any) -> ModelRequest:
    defaults = {"purpose": Purpose.TEST, "principal": Principal.system(), "privacy": PrivacyLabel.INTERNAL}
    return ModelRequest((Message(Role.USER, text),), **{**defaults, **fields})


def serve(
    name: str,
    base_url: str,
    *,
    priority: int = 1,
    is_local: bool = True,
    kind: str = "openai_compatible",
    **fields: Any,
) -> Provider:
    """A provider on record with one model `m` that chats and one `e` that embeds."""
    provider = Provider.objects.create(
        name=name,
        kind=kind,
        base_url=base_url,
        priority=priority,
        is_local=is_local,
        accepts_up_to=PrivacyLabel.PRIVATE if is_local else PrivacyLabel.INTERNAL,
        **fields,
    )
    chats, embeds = frozenset({Capability.CHAT}), frozenset({Capability.EMBED})
    save_models(provider, [ModelDescription("m", chats), ModelDescription("e", embeds)])
    return provider


aserve = database_sync_to_async(serve)


async def events_of(request: ModelRequest, *, into: list[ClientEvent] | None = None) -> list[ClientEvent]:
    """All that the client tells; a list given as `into` keeps what was told before a failure."""
    told = into if into is not None else []
    async with aclosing(UnifiedLLMClient().stream(request)) as events:
        async for event in events:
            told.append(event)
    return told
