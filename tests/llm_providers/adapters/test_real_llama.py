"""The adapter against llama.cpp itself."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import aclosing

import httpx
import pytest

from llm_providers.adapters.anthropic import AnthropicAdapter
from llm_providers.adapters.openai_compatible import OpenAICompatibleAdapter
from llm_providers.errors import Event, ProviderFailure
from llm_providers.types import (
    AnswerOrigin,
    AnswerSchema,
    Capability,
    EmbedCall,
    Finished,
    FinishReason,
    Message,
    PrivacyLabel,
    Role,
    Sampling,
    TextDelta,
    Tool,
)
from tests.lab.llama import CONTEXT_LENGTH, RealLlama, real_llama
from tests.llm_providers.adapters.calls import chat, connection, events_of, failure_of, text_in, usages_in

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 12}, "hot": {"type": "boolean"}},
    "required": ["city", "hot"],
    "additionalProperties": False,
}


@pytest.fixture(scope="session")
def llama() -> Iterator[RealLlama]:
    with real_llama() as server:
        yield server


@pytest.fixture(scope="session")
def embedder() -> Iterator[RealLlama]:
    with real_llama(embeds=True) as server:
        yield server


@pytest.fixture(scope="session")
def talker() -> Iterator[RealLlama]:
    with real_llama(never_ends=True) as server:
        yield server


@pytest.fixture
def adapter(llama: RealLlama) -> OpenAICompatibleAdapter:
    return OpenAICompatibleAdapter(connection(llama.base_url))


async def test_it_streams_an_answer(llama: RealLlama, adapter: OpenAICompatibleAdapter) -> None:
    events = await events_of(adapter, chat(sampling=Sampling(max_tokens=16, temperature=0.8, seed=3)))

    pieces = [event for event in events if isinstance(event, TextDelta)]
    (usage,) = usages_in(events)
    assert isinstance(events[0], AnswerOrigin)
    assert events[0].answered_model == llama.model
    assert len(pieces) > 1
    assert usage.output_tokens in range(len(pieces), 17)
    assert (usage.input_tokens or 0) > 0
    assert isinstance(events[-1], Finished)


async def test_it_says_when_the_answer_hit_its_limit(adapter: OpenAICompatibleAdapter) -> None:
    events = await events_of(adapter, chat(sampling=Sampling(max_tokens=1)))

    assert events[-1] == Finished(FinishReason.LENGTH)


async def test_it_gets_json_that_obeys_its_schema(adapter: OpenAICompatibleAdapter) -> None:
    call = chat(answer_schema=AnswerSchema("place", SCHEMA), sampling=Sampling(max_tokens=200, seed=1))

    answer = json.loads(text_in(await events_of(adapter, call)))

    assert set(answer) == {"city", "hot"}
    assert isinstance(answer["hot"], bool)


async def test_it_may_offer_tools(adapter: OpenAICompatibleAdapter) -> None:
    call = chat(tools=(Tool("weather", "Tells it.", SCHEMA),), tool_choice="auto", sampling=Sampling(max_tokens=16))

    events = await events_of(adapter, call)

    assert isinstance(events[-1], Finished)


async def test_it_names_a_prompt_that_is_too_long(adapter: OpenAICompatibleAdapter) -> None:
    long = Message(Role.USER, "hello " * CONTEXT_LENGTH)

    failure = await failure_of(adapter, chat(messages=(long,)))

    assert (failure.event, failure.http_status) == (Event.CONTEXT_LENGTH, 400)
    assert failure.context_limit == CONTEXT_LENGTH


async def test_it_lists_the_model(llama: RealLlama, adapter: OpenAICompatibleAdapter) -> None:
    (model,) = await adapter.models()

    assert (model.name, model.context_length) == (llama.model, CONTEXT_LENGTH)
    assert model.capabilities == {Capability.CHAT}


async def test_it_embeds(embedder: RealLlama) -> None:
    adapter = OpenAICompatibleAdapter(connection(embedder.base_url))

    answer = await adapter.embed(EmbedCall("tiny", ("a code review", "a code review", "cost"), PrivacyLabel.PRIVATE))

    assert [len(vector) for vector in answer.vectors] == [64, 64, 64]
    assert answer.vectors[0] == pytest.approx(answer.vectors[1], abs=1e-5)
    assert answer.vectors[0] != pytest.approx(answer.vectors[2], abs=1e-3)
    assert (answer.usage.input_tokens or 0) > 0


async def test_it_names_a_text_that_is_too_long_to_embed(embedder: RealLlama) -> None:
    adapter = OpenAICompatibleAdapter(connection(embedder.base_url))

    with pytest.raises(ProviderFailure) as raised:
        await adapter.embed(EmbedCall("tiny", ("hello " * CONTEXT_LENGTH,), PrivacyLabel.PRIVATE))

    assert raised.value.event is Event.CONTEXT_LENGTH
    assert 0 < (raised.value.context_limit or 0) <= CONTEXT_LENGTH


async def test_it_frees_the_slot_of_an_answer_that_nobody_wants(talker: RealLlama) -> None:
    adapter = OpenAICompatibleAdapter(connection(talker.base_url))

    async with aclosing(adapter.chat(chat())) as answer:
        async for event in answer:
            if isinstance(event, TextDelta):
                break
        assert await busy_slots(talker) == 1

    assert await until_idle(talker) < 1


async def busy_slots(server: RealLlama) -> int:
    async with httpx.AsyncClient() as client:
        slots = (await client.get(f"{server.origin}/slots")).json()
    return sum(slot["is_processing"] for slot in slots)


async def until_idle(server: RealLlama) -> float:
    """Seconds until no slot is at work."""
    began = time.monotonic()
    while await busy_slots(server):
        assert time.monotonic() - began < 5, "the slot is still at work"
        await asyncio.sleep(0.01)
    return time.monotonic() - began


async def test_it_speaks_the_messages_api_too(llama: RealLlama) -> None:
    """llama.cpp answers at /v1/messages in Anthropic's form, so the adapter for Claude meets a real model here."""
    adapter = AnthropicAdapter(connection(llama.base_url.removesuffix("/v1")))

    events = await events_of(adapter, chat(sampling=Sampling(max_tokens=16)))

    *_, usage = usages_in(events)
    assert isinstance(events[0], AnswerOrigin)
    assert events[0].answered_model
    assert text_in(events)
    assert (usage.input_tokens or 0) > 0
    assert (usage.output_tokens or 0) > 0
    assert isinstance(events[-1], Finished)
