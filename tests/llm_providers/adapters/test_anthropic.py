"""What is the Messages API's own: how it is asked, and what it tells."""

from collections.abc import Iterator

import orjson
import pytest

from llm_providers.adapters.anthropic import AnthropicAdapter
from llm_providers.adapters.anthropic_wire import ChatAnswer
from llm_providers.adapters.framing import Frame
from llm_providers.errors import Event, ProviderFailure
from llm_providers.types import (
    AnswerSchema,
    Capability,
    Finished,
    FinishReason,
    ImagePart,
    Message,
    Role,
    Sampling,
    Tool,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from tests.fakes.anthropic import FakeAnthropic
from tests.fakes.behaviour import Answer, FakeToolCall, Fault
from tests.llm_providers.adapters.calls import chat, collect_into, connection, events_of, failure_of, usages_in


@pytest.fixture
def fake() -> Iterator[FakeAnthropic]:
    with FakeAnthropic(api_key="sk-ant-1") as server:
        yield server


@pytest.fixture
def adapter(fake: FakeAnthropic) -> AnthropicAdapter:
    return AnthropicAdapter(connection(fake.base_url, secret="sk-ant-1"))


async def asked(fake: FakeAnthropic, adapter: AnthropicAdapter, **changes: object) -> dict[str, object]:
    await events_of(adapter, chat(**changes))
    body: dict[str, object] = fake.requests[-1].json()
    return body


async def test_the_system_prompt_stands_apart_and_sampling_is_left_out(fake, adapter):
    turns = (Message(Role.SYSTEM, "Be kind."), Message(Role.USER, "Hi"), Message(Role.SYSTEM, "And brief."))

    body = await asked(fake, adapter, messages=turns, sampling=Sampling(temperature=0.2, top_p=0.9, stop=("END",)))

    assert body == {
        "model": "gpt-6-luna",
        "max_tokens": 16_384,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
        "stream": True,
        "system": "Be kind.\n\nAnd brief.",
        "stop_sequences": ["END"],
    }


async def test_results_of_tools_begin_the_next_turn_of_the_user(fake, adapter):
    turns = (
        Message(Role.USER, "Weather, time?"),
        Message(
            Role.ASSISTANT,
            "I look.",
            tool_calls=(ToolCall("toolu_1", "weather", '{"city":"Wien"}'), ToolCall("toolu_2", "clock", "not json")),
        ),
        Message(Role.TOOL, "12 °C", tool_call_id="toolu_1"),
        Message(Role.TOOL, "noon", tool_call_id="toolu_2"),
        Message(Role.USER, "And?"),
    )
    tool = Tool("weather", "Tells it.", {"type": "object"})

    body = await asked(fake, adapter, messages=turns, tools=(tool,), tool_choice="required")

    assert body["messages"][1:] == [
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Wien"}},
                {"type": "tool_use", "id": "toolu_2", "name": "clock", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": "12 °C"},
                {"type": "tool_result", "tool_use_id": "toolu_2", "content": "noon"},
                {"type": "text", "text": "And?"},
            ],
        },
    ]
    assert body["tools"] == [{"name": "weather", "description": "Tells it.", "input_schema": {"type": "object"}}]
    assert body["tool_choice"] == {"type": "any"}


@pytest.mark.parametrize(
    ("choice", "sent"),
    [("auto", {"type": "auto"}), ("none", {"type": "none"}), ("weather", {"type": "tool", "name": "weather"})],
)
async def test_a_choice_of_tools(fake, adapter, choice, sent):
    body = await asked(fake, adapter, tools=(Tool("weather", "", {}),), tool_choice=choice)

    assert body["tool_choice"] == sent


async def test_pictures_and_schemas(fake, adapter):
    message = Message(Role.USER, "What?", images=(ImagePart("image/png", b"\x89PNG"),))

    body = await asked(fake, adapter, messages=(message,), answer_schema=AnswerSchema("n", {"type": "object"}))

    picture, _ = body["messages"][0]["content"]
    assert picture["source"] == {"type": "base64", "media_type": "image/png", "data": "iVBORw=="}
    assert body["output_config"] == {"format": {"type": "json_schema", "schema": {"type": "object"}}}


async def test_tokens_taken_are_known_before_the_answer_breaks_off(fake, adapter):
    fake.fault = Fault.CUT_AFTER_CONTENT
    seen = []

    with pytest.raises(ProviderFailure):
        await collect_into(seen, adapter)

    assert usages_in(seen) == [Usage(17, None, 4)]


async def test_a_refusal_by_the_model_is_a_finished_answer(fake, adapter):
    fake.reply = Answer(finish_reason="content_filter", headers=())

    assert (await events_of(adapter))[-1] == Finished(FinishReason.REFUSED)


async def test_turns_without_content_are_left_out(fake, adapter):
    turns = (
        Message(Role.USER, "One"),
        Message(Role.ASSISTANT, ""),
        Message(Role.USER, " \n"),
        Message(Role.USER, "Two"),
    )

    body = await asked(fake, adapter, messages=turns)

    (turn,) = body["messages"]
    assert [block["text"] for block in turn["content"]] == ["One", "Two"]


async def test_a_call_without_arguments_has_an_empty_object(fake, adapter):
    fake.reply = Answer(words=(), tool_calls=(FakeToolCall("clock", ()),), finish_reason="tool_calls", headers=())

    calls = [event for event in await events_of(adapter) if isinstance(event, ToolCallDelta)]

    assert "".join(call.arguments for call in calls) == "{}"


def test_a_delta_of_a_block_that_we_do_not_know_says_nothing():
    answer = ChatAnswer("req_1")
    block = {"type": "server_tool_use", "id": "s", "name": "n"}
    opened = {"type": "content_block_start", "index": 0, "content_block": block}
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": "{"}}

    told = [answer.events(Frame(b"", orjson.dumps(said))) for said in (opened, delta)]

    assert told == [[], []]


def test_a_long_name_of_a_request_is_cut():
    answer = ChatAnswer("req_" + "x" * 500)
    (origin,) = answer.events(Frame(b"", b'{"type":"message_start","message":{"model":"m"}}'))

    assert len(origin.provider_request_id) == 200


async def test_tokens_spent_on_thinking_are_told(fake, adapter):
    fake.reply = Answer(usage=(17, 5, 4, 3), headers=())

    assert usages_in(await events_of(adapter))[-1] == Usage(17, 5, 4, 3)


async def test_an_overload_in_mid_answer_is_told_from_other_errors(fake, adapter):
    fake.fault = Fault.OVERLOADED_FRAME

    assert (await failure_of(adapter)).event is Event.OVERLOADED


async def test_models_are_listed_page_by_page(fake, adapter):
    fake.page_size = 1

    offered = await adapter.models()

    assert [model.name for model in offered] == fake.model_names
    assert (offered[0].context_length, offered[0].max_output) == (1_000_000, 128_000)
    assert Capability.VISION in offered[0].capabilities


async def test_a_wrong_key_is_a_setting_to_change(fake):
    adapter = AnthropicAdapter(connection(fake.base_url, secret="sk-ant-2"))

    failure = await failure_of(adapter)

    assert (failure.event, failure.detail) == (Event.UNAUTHORISED, "invalid x-api-key")
