"""What is Ollama's own: how it is asked, what it lists, and what it does not say."""

from collections.abc import Iterator

import pytest

from llm_providers.adapters.ollama import OllamaAdapter
from llm_providers.errors import Event, ProviderFailure
from llm_providers.types import (
    AnswerSchema,
    Capability,
    Finished,
    FinishReason,
    ImagePart,
    Message,
    ModelDescription,
    Role,
    Sampling,
    Tool,
    ToolCall,
    ToolCallDelta,
)
from tests.fakes.behaviour import Answer, FakeToolCall, Fault
from tests.fakes.ollama import FakeOllama, model
from tests.llm_providers.adapters.calls import EMBED, chat, connection, events_of, failure_of


@pytest.fixture
def fake() -> Iterator[FakeOllama]:
    with FakeOllama() as server:
        yield server


@pytest.fixture
def adapter(fake: FakeOllama) -> OllamaAdapter:
    return OllamaAdapter(connection(fake.base_url))


async def asked(fake: FakeOllama, adapter: OllamaAdapter, **changes: object) -> dict[str, object]:
    await events_of(adapter, chat(**changes))
    body: dict[str, object] = fake.requests[-1].json()
    return body


async def test_a_question_is_never_cut_silently_and_leaves_the_rest_to_the_server(fake, adapter):
    body = await asked(fake, adapter)

    assert body == {
        "model": "gpt-6-luna",
        "messages": [{"role": "user", "content": "Say hello."}],
        "stream": True,
        "truncate": False,
    }


async def test_wishes_become_options(fake, adapter):
    sampling = Sampling(max_tokens=5, temperature=0.0, seed=7, stop=("END",))

    body = await asked(fake, adapter, sampling=sampling)

    assert body["options"] == {"num_predict": 5, "temperature": 0.0, "seed": 7, "stop": ["END"]}


async def test_a_picture_is_sent_as_bare_base64(fake, adapter):
    message = Message(Role.USER, "What is this?", images=(ImagePart("image/png", b"\x89PNG"),))

    body = await asked(fake, adapter, messages=(message,))

    assert body["messages"] == [{"role": "user", "content": "What is this?", "images": ["iVBORw=="]}]


async def test_a_schema_is_the_format(fake, adapter):
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}

    body = await asked(fake, adapter, answer_schema=AnswerSchema("n", schema))

    assert body["format"] == schema


async def test_tools_and_their_results(fake, adapter):
    turns = (
        Message(Role.USER, "Weather?"),
        Message(Role.ASSISTANT, "", tool_calls=(ToolCall("call_1", "weather", '{"city":"Wien"}'),)),
        Message(Role.TOOL, "12 °C", tool_call_id="call_1"),
    )
    tool = Tool("weather", "Tells it.", {"type": "object"})

    body = await asked(fake, adapter, messages=turns, tools=(tool,))

    assert body["messages"][1:] == [
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "call_1", "function": {"name": "weather", "arguments": {"city": "Wien"}}}],
        },
        {"role": "tool", "content": "12 °C", "tool_call_id": "call_1", "tool_name": "weather"},
    ]
    assert body["tools"] == [
        {"type": "function", "function": {"name": "weather", "description": "Tells it.", "parameters": tool.parameters}}
    ]
    assert "tools" not in await asked(fake, adapter, tools=(tool,), tool_choice="none")


async def test_a_call_without_an_id_gets_one(fake, adapter):
    fake.reply = Answer(words=(), tool_calls=(FakeToolCall("clock", (), id=""),))

    events = await events_of(adapter)

    (call,) = [event for event in events if isinstance(event, ToolCallDelta)]
    assert (call.name, call.arguments) == ("clock", "{}")
    assert call.id
    assert call.id.startswith("call_")
    assert events[-1] == Finished(FinishReason.TOOL_CALLS)


async def test_models_are_listed_with_what_they_can_do(fake, adapter):
    fake.models = (*fake.models, model("gpt-oss:120b-cloud", remote_host="https://ollama.com:443"), model("gone:1b"))

    offered = await adapter.models()

    assert offered == (
        ModelDescription("gemma3:1b", frozenset({Capability.CHAT, Capability.VISION}), 32_768),
        ModelDescription("nomic-embed-text:latest", frozenset({Capability.EMBED}), 2_048),
        ModelDescription("gpt-oss:120b-cloud", frozenset({Capability.CHAT}), is_remote=True),
        ModelDescription("gone:1b", frozenset({Capability.CHAT})),
    )


async def test_a_model_is_asked_about_once(fake, adapter):
    await adapter.models()
    await adapter.models()

    paths = [request.path for request in fake.requests]
    assert (paths.count("/api/tags"), paths.count("/api/show")) == (2, 2)


async def test_it_tells_what_is_in_memory(fake, adapter):
    fake.loaded = ("gemma3:1b",)

    assert await adapter.loaded_models() == {"gemma3:1b"}


async def test_vectors_come_in_order_and_are_counted(fake, adapter):
    answer = await adapter.embed(EMBED)

    assert len(answer.vectors) == 3
    assert answer.usage.input_tokens == 4
    assert fake.requests[-1].json() == {"model": EMBED.model, "input": list(EMBED.inputs), "truncate": False}


async def test_a_missing_vector_is_malformed(fake, adapter):
    fake.fault = Fault.VECTOR_MISSING

    with pytest.raises(ProviderFailure) as raised:
        await adapter.embed(EMBED)

    assert raised.value.event is Event.MALFORMED


async def test_a_key_is_sent_where_there_is_one(fake):
    fake.api_key = "sk-1"
    adapter = OllamaAdapter(connection(fake.base_url, secret="sk-1"))

    assert (await events_of(adapter))[-1] == Finished(FinishReason.STOP)


async def test_a_line_of_more_than_a_packet_is_read_whole(fake, adapter):
    fake.reply = Answer(words=("x" * 300_000,))

    events = await events_of(adapter)

    assert sum(len(getattr(event, "text", "")) for event in events) == 300_000


async def test_another_server_on_its_port_is_not_taken_for_it(fake, adapter):
    fake.fault = Fault.PATH_MISSING

    failure = await failure_of(adapter)

    assert failure.event is Event.MISCONFIGURED
