"""Calls as the tests of adapters make them, and what came of them."""

from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from llm_providers.adapters.base import Adapter, Connection
from llm_providers.errors import ProviderFailure
from llm_providers.types import (
    AdapterEvent,
    ChatCall,
    EmbedCall,
    Message,
    PrivacyLabel,
    ReasoningDelta,
    Role,
    TextDelta,
    Usage,
)

CHAT = ChatCall("gpt-6-luna", (Message(Role.USER, "Say hello."),), PrivacyLabel.PRIVATE)
EMBED = EmbedCall("text-embedding-3-small", ("one", "two words", "three"), PrivacyLabel.PRIVATE)


def chat(**changes: Any) -> ChatCall:
    return replace(CHAT, **changes)


def connection(base_url: str, **changes: Any) -> Connection:
    return replace(Connection("fake", base_url, is_local=True, accepts_up_to=PrivacyLabel.PRIVATE), **changes)


async def collect_into(seen: list[AdapterEvent], adapter: Adapter, call: ChatCall = CHAT) -> None:
    """Keeps what came although the answer breaks off."""
    async with aclosing(adapter.chat(call)) as answer:
        async for event in answer:
            seen.append(event)


async def events_of(adapter: Adapter, call: ChatCall = CHAT) -> list[AdapterEvent]:
    seen: list[AdapterEvent] = []
    await collect_into(seen, adapter, call)
    return seen


async def failure_of(adapter: Adapter, call: ChatCall = CHAT) -> ProviderFailure:
    with pytest.raises(ProviderFailure) as raised:
        await events_of(adapter, call)
    return raised.value


def text_in(events: list[AdapterEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def reasoning_in(events: list[AdapterEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, ReasoningDelta))


def usages_in(events: list[AdapterEvent]) -> list[Usage]:
    return [event for event in events if isinstance(event, Usage)]
