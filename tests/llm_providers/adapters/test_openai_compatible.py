"""The OpenAI form: what is sent, and the answers that only this form has."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from llm_providers.adapters.openai_compatible import OpenAICompatibleAdapter
from llm_providers.errors import Event, ProviderFailure
from llm_providers.types import (
    AnswerOrigin,
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
    Usage,
)
from tests.fakes.behaviour import Answer, Fault
from tests.fakes.openai import FakeLlamaCpp, FakeOpenAI, vector_of
from tests.llm_providers.adapters.calls import (
    EMBED,
    chat,
    connection,
    events_of,
    failure_of,
    text_in,
)

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


async def sent(fake: FakeOpenAI, adapter: OpenAICompatibleAdapter, **changes: Any) -> dict[str, Any]:
    await events_of(adapter, chat(**changes))
    body: dict[str, Any] = fake.requests[-1].json()
    return body


class TestRequest:
    async def test_it_asks_for_a_stream_with_usage(self, fake: FakeOpenAI, adapter: OpenAICompatibleAdapter) -> None:
        body = await sent(fake, adapter)

        assert body == {
            "model": "gpt-6-luna",
            "messages": [{"role": "user", "content": "Say hello."}],
            "stream": True,
            "stream_options": {"include_usage": True},
        }

    async def test_it_sends_only_the_sampling_that_is_wished(
        self, fake: FakeOpenAI, adapter: OpenAICompatibleAdapter
    ) -> None:
        sampling = Sampling(max_tokens=9, temperature=0.0, top_p=0.5, seed=7, stop=("\n", "END"))

        body = await sent(fake, adapter, sampling=sampling)

        wished = {"max_tokens": 9, "temperature": 0.0, "top_p": 0.5, "seed": 7, "stop": ["\n", "END"]}
        assert {name: body[name] for name in wished} == wished

    async def test_it_sends_images_as_data_urls(self, fake: FakeOpenAI, adapter: OpenAICompatibleAdapter) -> None:
        asked = Message(Role.USER, "What is it?", images=(ImagePart("image/png", b"\x89PNG"),))

        body = await sent(fake, adapter, messages=(asked,))

        assert body["messages"][0]["content"] == [
            {"type": "text", "text": "What is it?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}},
        ]

    async def test_it_sends_tools_and_a_conversation_that_used_them(
        self, fake: FakeOpenAI, adapter: OpenAICompatibleAdapter
    ) -> None:
        called = Message(Role.ASSISTANT, "", tool_calls=(ToolCall("call_1", "weather", '{"city":"Wien"}'),))
        answered = Message(Role.TOOL, "sunny", tool_call_id="call_1")

        body = await sent(
            fake,
            adapter,
            messages=(called, answered),
            tools=(Tool("weather", "Tells it.", SCHEMA),),
            tool_choice="auto",
        )

        function = {"name": "weather", "arguments": '{"city":"Wien"}'}
        assert body["messages"] == [
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "call_1", "type": "function", "function": function}],
            },
            {"role": "tool", "content": "sunny", "tool_call_id": "call_1"},
        ]
        described = {"name": "weather", "description": "Tells it.", "parameters": SCHEMA}
        assert body["tools"] == [{"type": "function", "function": described}]
        assert body["tool_choice"] == "auto"

    async def test_it_asks_for_one_certain_tool_by_name(
        self, fake: FakeOpenAI, adapter: OpenAICompatibleAdapter
    ) -> None:
        body = await sent(fake, adapter, tool_choice="weather")

        assert body["tool_choice"] == {"type": "function", "function": {"name": "weather"}}

    async def test_it_asks_for_an_answer_that_obeys_a_schema(
        self, fake: FakeOpenAI, adapter: OpenAICompatibleAdapter
    ) -> None:
        body = await sent(fake, adapter, answer_schema=AnswerSchema("place", SCHEMA))

        schema = {"name": "place", "schema": SCHEMA, "strict": True}
        assert body["response_format"] == {"type": "json_schema", "json_schema": schema}

    async def test_it_sends_its_secret_and_nobody_elses(self, fake: FakeOpenAI) -> None:
        fake.api_key = "sk-right"

        await events_of(OpenAICompatibleAdapter(connection(fake.base_url, secret="sk-right")))
        failure = await failure_of(OpenAICompatibleAdapter(connection(fake.base_url)))

        assert [request.headers.get("authorization") for request in fake.requests] == ["Bearer sk-right", None]
        assert failure.event is Event.UNAUTHORISED

    async def test_it_does_not_let_tokens_wait_for_compression(
        self, fake: FakeOpenAI, adapter: OpenAICompatibleAdapter
    ) -> None:
        await events_of(adapter)

        assert fake.requests[0].headers["accept-encoding"] == "identity"

    async def test_it_leaves_a_rejected_parameter_out_from_then_on(
        self, fake: FakeOpenAI, adapter: OpenAICompatibleAdapter
    ) -> None:
        limited = chat(sampling=Sampling(max_tokens=9))
        fake.fault = Fault.PARAMETER_REJECTED
        failure = await failure_of(adapter, limited)
        fake.fault = Fault.NONE

        await events_of(adapter, limited)
        await events_of(adapter, chat(model="another", sampling=Sampling(max_tokens=9)))

        refused, renamed, another = (request.json() for request in fake.requests)
        assert failure.event is Event.PARAMETER_REJECTED
        assert "max_tokens" in refused
        assert ("max_tokens" in renamed, renamed["max_completion_tokens"]) == (False, 9)
        assert another["max_tokens"] == 9

    async def test_it_blames_the_request_for_what_json_cannot_carry(
        self, fake: FakeOpenAI, adapter: OpenAICompatibleAdapter
    ) -> None:
        failure = await failure_of(adapter, chat(messages=(Message(Role.USER, "half \ud83e"),)))

        assert failure.event is Event.BAD_REQUEST
        assert fake.connections_seen == 0

    @pytest.mark.parametrize("secret", ["sk-ü", "sk-a\nX-Injected: b"])
    async def test_it_blames_the_settings_for_a_secret_that_no_header_may_carry(
        self, fake: FakeOpenAI, secret: str
    ) -> None:
        failure = await failure_of(OpenAICompatibleAdapter(connection(fake.base_url, secret=secret)))

        assert failure.event is Event.MISCONFIGURED
        assert secret not in str(failure)
        assert fake.requests == []


class TestLlamaCpp:
    @pytest.fixture
    def llama(self) -> Iterator[FakeLlamaCpp]:
        with FakeLlamaCpp() as server:
            yield server

    async def test_it_records_the_model_that_answered(self, llama: FakeLlamaCpp) -> None:
        events = await events_of(OpenAICompatibleAdapter(connection(llama.base_url)))

        assert isinstance(events[0], AnswerOrigin)
        assert events[0].answered_model == "/models/tiny.gguf"
        assert (events[0].provider_request_id or "").startswith("chatcmpl-")

    async def test_it_reads_what_a_model_list_says(self, llama: FakeLlamaCpp) -> None:
        (model,) = await OpenAICompatibleAdapter(connection(llama.base_url)).models()

        assert model.context_length == 4096
        assert model.capabilities == {Capability.CHAT, Capability.VISION}


class TestOtherAnswers:
    async def test_it_does_not_take_an_unstreamed_answer(
        self, fake: FakeOpenAI, adapter: OpenAICompatibleAdapter
    ) -> None:
        fake.ignores_stream = True

        failure = await failure_of(adapter)

        assert failure.event is Event.MISCONFIGURED

    async def test_it_finishes_where_only_the_last_blank_line_is_missing(
        self, fake: FakeOpenAI, adapter: OpenAICompatibleAdapter
    ) -> None:
        fake.done = b"data: [DONE]\n"

        events = await events_of(adapter)

        assert events[-1] == Finished(FinishReason.STOP)

    async def test_it_ends_although_the_server_leaves_the_connection_open(
        self, fake: FakeOpenAI, adapter: OpenAICompatibleAdapter
    ) -> None:
        fake.fault = Fault.STALL_AFTER_END

        events = await events_of(adapter)

        assert events[-1] == Finished(FinishReason.STOP)
        assert await asyncio.to_thread(fake.requests[0].closed.wait, 1)

    async def test_it_reads_an_answer_longer_than_any_buffer(
        self, fake: FakeOpenAI, adapter: OpenAICompatibleAdapter
    ) -> None:
        fake.reply = Answer(words=("Grüße ",), repeat=20_000)

        assert text_in(await events_of(adapter)) == fake.reply.text

    async def test_it_judges_by_the_status_where_the_explanation_breaks_off(
        self, fake: FakeOpenAI, adapter: OpenAICompatibleAdapter
    ) -> None:
        fake.fault = Fault.CUT_ERROR_BODY

        failure = await failure_of(adapter)

        assert (failure.event, failure.http_status) == (Event.SERVER_ERROR, 500)

    async def test_it_reads_only_the_beginning_of_an_endless_explanation(
        self, fake: FakeOpenAI, adapter: OpenAICompatibleAdapter
    ) -> None:
        fake.fault = Fault.ENDLESS_ERROR_BODY

        failure = await failure_of(adapter)

        assert (failure.event, failure.http_status) == (Event.SERVER_ERROR, 500)
        assert len(failure.detail) <= 2048
        assert await asyncio.to_thread(fake.requests[0].closed.wait, 1)


class TestEmbeddings:
    async def test_it_returns_one_vector_per_text(self, fake: FakeOpenAI, adapter: OpenAICompatibleAdapter) -> None:
        answer = await adapter.embed(EMBED)

        assert answer.vectors == tuple(vector_of(text) for text in EMBED.inputs)
        assert (answer.answered_model, answer.usage) == ("text-embedding-3-small", Usage(input_tokens=4))
        assert fake.requests[0].json()["encoding_format"] == "float"

    async def test_it_puts_vectors_into_the_order_of_the_texts(
        self, fake: FakeOpenAI, adapter: OpenAICompatibleAdapter
    ) -> None:
        fake.fault = Fault.VECTORS_OUT_OF_ORDER

        answer = await adapter.embed(EMBED)

        assert answer.vectors == tuple(vector_of(text) for text in EMBED.inputs)

    async def test_it_does_not_take_fewer_vectors_than_texts(
        self, fake: FakeOpenAI, adapter: OpenAICompatibleAdapter
    ) -> None:
        fake.fault = Fault.VECTOR_MISSING

        with pytest.raises(ProviderFailure) as raised:
            await adapter.embed(EMBED)

        assert raised.value.event is Event.MALFORMED

    async def test_it_names_what_a_refusal_means(self, fake: FakeOpenAI, adapter: OpenAICompatibleAdapter) -> None:
        fake.fault = Fault.LOADING

        with pytest.raises(ProviderFailure) as raised:
            await adapter.embed(EMBED)

        assert raised.value.event is Event.LOADING
