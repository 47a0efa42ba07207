"""What is OpenAI's own beside the form that others copy."""

from collections.abc import Iterator

import pytest

from llm_providers.adapters.openai import OpenAIAdapter, capabilities_of
from llm_providers.types import Capability, Sampling
from tests.fakes.openai import FakeOpenAI
from tests.llm_providers.adapters.calls import chat, connection, events_of

CHATS = frozenset({Capability.CHAT, Capability.VISION, Capability.TOOLS, Capability.JSON_SCHEMA})


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as server:
        yield server


async def test_the_limit_goes_by_its_newer_name(fake):
    await events_of(OpenAIAdapter(connection(fake.base_url)), chat(sampling=Sampling(max_tokens=7)))

    body = fake.requests[-1].json()
    assert body["max_completion_tokens"] == 7
    assert "max_tokens" not in body


@pytest.mark.parametrize(
    ("name", "can"),
    [
        ("gpt-6-luna", CHATS),
        ("o4-mini", CHATS),
        ("ft:gpt-6-luna:team::abc", CHATS),
        ("gpt-3.5-turbo", frozenset({Capability.CHAT, Capability.TOOLS})),
        ("text-embedding-3-small", frozenset({Capability.EMBED})),
        ("whisper-1", frozenset({Capability.TRANSCRIBE})),
        ("gpt-4o-mini-transcribe", frozenset({Capability.TRANSCRIBE})),
        ("gpt-transcribe", frozenset({Capability.TRANSCRIBE})),
        ("gpt-image-2", frozenset({Capability.DRAW})),
        ("gpt-4o-realtime-preview", frozenset()),
        ("gpt-4o-mini-tts", frozenset()),
        ("gpt-3.5-turbo-instruct", frozenset()),
        ("something-new", frozenset({Capability.CHAT})),
    ],
)
def test_a_name_tells_what_a_model_can_do(name, can):
    assert capabilities_of(name) == can


async def test_models_that_do_nothing_we_ask_for_are_left_out(fake):
    fake.models = (*fake.models, {"id": "omni-moderation-latest", "object": "model"})

    offered = await OpenAIAdapter(connection(fake.base_url)).models()

    assert [model.name for model in offered] == ["gpt-6-luna", "text-embedding-3-small"]
