"""The OpenAI form of answers, chunk by chunk, and of lists: without any network."""

from typing import Any

import orjson
import pytest

from llm_providers.adapters.framing import Frame
from llm_providers.adapters.openai_models import models_in
from llm_providers.adapters.openai_wire import ChatAnswer, embeddings_in
from llm_providers.errors import Event, ProviderFailure
from llm_providers.types import (
    AdapterEvent,
    AnswerOrigin,
    Capability,
    Embeddings,
    Finished,
    FinishReason,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from tests.llm_providers.adapters.calls import usages_in

DONE = Frame(b"", b"[DONE]")


def chunk(delta: Any = None, *, finish_reason: str | None = None, **fields: Any) -> Frame:
    choice = {"index": 0, "delta": {} if delta is None else delta, "finish_reason": finish_reason}
    return Frame(b"", orjson.dumps({"id": "c1", "model": "m", "choices": [choice], **fields}))


def read(*frames: Frame) -> list[AdapterEvent]:
    answer = ChatAnswer("req_1")
    return [event for frame in frames for event in answer.events(frame)]


class TestChunks:
    def test_it_reads_an_answer(self) -> None:
        events = read(chunk({"content": "Hi"}), chunk(finish_reason="stop"), DONE)

        assert events == [AnswerOrigin("m", "req_1"), TextDelta("Hi"), Finished(FinishReason.STOP)]

    @pytest.mark.parametrize("delta", [{}, {"role": "assistant", "content": None}, {"content": ""}, {"tool_calls": []}])
    def test_it_finds_no_content_where_there_is_none(self, delta: Any) -> None:
        assert read(chunk(delta)) == [AnswerOrigin("m", "req_1")]

    @pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
    def test_it_knows_both_names_of_reasoning(self, field: str) -> None:
        assert read(chunk({field: "hm"}))[1:] == [ReasoningDelta("hm")]

    def test_it_hands_a_refusal_out_as_text(self) -> None:
        events = read(chunk({"refusal": "I will not."}), chunk(finish_reason="stop"), DONE)

        assert events[1:] == [TextDelta("I will not."), Finished(FinishReason.REFUSED)]

    @pytest.mark.parametrize(
        ("wire", "reason"),
        [
            ("stop", FinishReason.STOP),
            ("length", FinishReason.LENGTH),
            ("tool_calls", FinishReason.TOOL_CALLS),
            ("function_call", FinishReason.TOOL_CALLS),
            ("content_filter", FinishReason.REFUSED),
            ("eos_token", FinishReason.STOP),
        ],
    )
    def test_it_reads_why_the_answer_ended(self, wire: str, reason: FinishReason) -> None:
        assert read(chunk(finish_reason=wire), DONE)[-1] == Finished(reason)

    def test_it_believes_the_tool_call_more_than_a_stop(self) -> None:
        call = {"index": 0, "id": "call_1", "function": {"name": "f", "arguments": "{}"}}

        events = read(chunk({"tool_calls": [call]}), chunk(finish_reason="stop"), DONE)

        assert events[-1] == Finished(FinishReason.TOOL_CALLS)

    def test_it_numbers_tool_calls_that_come_without_an_index(self) -> None:
        first = {"id": "a", "function": {"name": "f", "arguments": "{"}}
        more = {"function": {"arguments": "}"}}
        second = {"id": "b", "function": {"name": "g", "arguments": "{}"}}

        events = read(chunk({"tool_calls": [first]}), chunk({"tool_calls": [more]}), chunk({"tool_calls": [second]}))

        assert events[1:] == [
            ToolCallDelta(0, "{", id="a", name="f"),
            ToolCallDelta(0, "}"),
            ToolCallDelta(1, "{}", id="b", name="g"),
        ]

    def test_it_names_a_tool_call_that_has_no_id(self) -> None:
        call = {"index": 0, "function": {"name": "f", "arguments": None}}

        (_, begun) = read(chunk({"tool_calls": [call]}))

        assert isinstance(begun, ToolCallDelta)
        assert (begun.id or "").startswith("call_")

    def test_it_tells_id_and_name_of_a_tool_call_only_once(self) -> None:
        call = {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{"}}

        events = read(chunk({"tool_calls": [call]}), chunk({"tool_calls": [call]}))

        assert events[1:] == [ToolCallDelta(0, "{", id="a", name="f"), ToolCallDelta(0, "{")]

    def test_it_passes_over_chunks_without_choices(self) -> None:
        assert read(Frame(b"", b'{"choices":[],"moderation":{}}'), Frame(b"", b'{"object":"mcp.tool"}')) == []

    def test_it_reads_all_that_usage_tells(self) -> None:
        counted = {
            "prompt_tokens": 17,
            "completion_tokens": 9,
            "prompt_tokens_details": {"cached_tokens": 4},
            "completion_tokens_details": {"reasoning_tokens": 3},
        }

        assert usages_in(read(chunk(usage=counted))) == [Usage(17, 9, 4, 3)]

    def test_it_takes_usage_without_details(self) -> None:
        counted = {"prompt_tokens": 17, "completion_tokens": 9, "prompt_tokens_details": None}

        assert usages_in(read(chunk(usage=counted))) == [Usage(17, 9)]

    def test_it_counts_by_the_timings_of_llama_cpp_where_usage_is_missing(self) -> None:
        assert usages_in(read(chunk(timings={"cache_n": 4, "prompt_n": 13, "predicted_n": 5}))) == [Usage(17, 5, 4)]

    def test_it_takes_zeros_for_unknown(self) -> None:
        assert usages_in(read(chunk(usage={"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}))) == []

    @pytest.mark.parametrize("odd", [-1, 17.5, "17", True, 2**31, 1e30, None, [17]])
    def test_it_takes_a_senseless_count_for_unknown(self, odd: Any) -> None:
        counted = {
            "prompt_tokens": odd,
            "completion_tokens": 9,
            "prompt_tokens_details": {"cached_tokens": odd},
            "completion_tokens_details": {"reasoning_tokens": odd},
        }

        assert usages_in(read(chunk(usage=counted))) == [Usage(None, 9)]

    @pytest.mark.parametrize("odd", [-1, 2**31, "17", None])
    def test_it_takes_a_senseless_timing_for_unknown(self, odd: Any) -> None:
        timings = {"cache_n": odd, "prompt_n": odd, "predicted_n": 5}

        assert usages_in(read(chunk(timings=timings))) == [Usage(None, 5, 0)]

    @pytest.mark.parametrize(
        ("odd", "name"), [(7, None), (["m"], None), ("", None), ("\0 m\0", "m"), ("ä" * 300, "ä" * 200)]
    )
    def test_it_keeps_only_names_that_a_database_takes(self, odd: Any, name: str | None) -> None:
        answer = ChatAnswer(None)

        events = answer.events(chunk(model=odd, id=odd))

        assert list(events) == [AnswerOrigin(name, name)]

    def test_it_cleans_the_id_of_a_tool_call(self) -> None:
        piece = {"id": "a\0", "function": {"name": "f", "arguments": "{"}}
        more = {"id": "a\0", "function": {"arguments": "}"}}

        events = read(chunk({"tool_calls": [piece]}), chunk({"tool_calls": [more]}))

        assert events[1:] == [ToolCallDelta(0, "{", id="a", name="f"), ToolCallDelta(0, "}")]

    @pytest.mark.parametrize("odd", [7, ["stop"], {"type": "eos"}])
    def test_it_takes_an_end_without_a_word_for_a_stop(self, odd: Any) -> None:
        assert read(chunk(finish_reason=odd), DONE)[-1] == Finished(FinishReason.STOP)

    def test_it_ignores_what_follows_the_end(self) -> None:
        assert read(chunk(finish_reason="stop"), DONE, chunk({"content": "more"}))[-1] == Finished(FinishReason.STOP)

    @pytest.mark.parametrize(
        "content",
        [
            b"not json",
            b"[1]",
            b"17",
            b"null",
            b'"text"',
            b'{"choices":7}',
            b'{"choices":[7]}',
            b'{"choices":[{"delta":7}]}',
            b'{"choices":[{"delta":{"content":7}}]}',
            b'{"choices":[{"delta":{"content":["a"]}}]}',
            b'{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{}}]}}]}',
            b'{"choices":[],"usage":7}',
            b'{"choices":[{"delta":{"content":"\xff"}}]}',
        ],
    )
    def test_it_calls_a_chunk_of_another_shape_malformed(self, content: bytes) -> None:
        with pytest.raises(ProviderFailure) as raised:
            read(Frame(b"", content))

        assert raised.value.event is Event.MALFORMED

    def test_it_does_not_repeat_what_was_written_beside_an_error(self) -> None:
        choice = {"finish_reason": "error", "message": {"content": "my secret answer"}}

        with pytest.raises(ProviderFailure) as raised:
            read(Frame(b"", orjson.dumps({"choices": [choice]})))

        assert "secret" not in str(raised.value)

    @pytest.mark.parametrize(
        "frame",
        [
            Frame(b"error", b'{"message":"boom"}'),
            Frame(b"", b'{"error":"boom"}'),
            Frame(b"", b'{"object":"error","message":"boom","code":50001}'),
            Frame(b"", b'{"choices":[{"delta":{},"finish_reason":"error","error":{"message":"boom"}}]}'),
        ],
    )
    def test_it_finds_an_error_in_every_disguise(self, frame: Frame) -> None:
        with pytest.raises(ProviderFailure, match="boom") as raised:
            read(frame)

        assert raised.value.event is Event.ERROR_FRAME


class TestEmbeddings:
    def test_it_takes_a_senseless_count_or_name_for_unknown(self) -> None:
        item = {"index": 0, "embedding": [1.0]}
        body = orjson.dumps({"data": [item], "model": 7, "usage": {"prompt_tokens": -4}})

        assert embeddings_in(body, count=1) == Embeddings(((1.0,),), None, Usage())

    @pytest.mark.parametrize("body", [b"", b"[]", b'{"data":null}', b'{"data":[{"index":0,"embedding":[null]}]}'])
    def test_it_calls_other_shapes_malformed(self, body: bytes) -> None:
        with pytest.raises(ProviderFailure) as raised:
            embeddings_in(body, count=1)

        assert raised.value.event is Event.MALFORMED


class TestModels:
    @pytest.mark.parametrize(
        "name",
        [
            "text-embedding-3-small",
            "bge-m3",
            "BAAI/bge-small-en",
            "intfloat/e5-large",
            "all-MiniLM-L6-v2",
            "nomic-embed",
        ],
    )
    def test_it_tells_embedders_by_their_names(self, name: str) -> None:
        (model,) = models_in(orjson.dumps({"data": [{"id": name}]}))

        assert model.capabilities == {Capability.EMBED}

    @pytest.mark.parametrize("name", ["gpt-6-luna", "llama3.2:3b", "phi-3.5-moe5x", "core5"])
    def test_it_takes_other_models_for_chat(self, name: str) -> None:
        (model,) = models_in(orjson.dumps({"data": [{"id": name, "object": "model"}]}))

        assert model.capabilities == {Capability.CHAT}
        assert model.context_length is None

    @pytest.mark.parametrize(
        ("entry", "length"),
        [
            ({"meta": {"n_ctx": 4096, "n_ctx_train": 8192}}, 4096),
            ({"meta": {"n_ctx_train": 8192}}, 8192),
            ({"meta": None, "max_model_len": 32768}, 32768),
            ({"context_length": 0}, None),
            ({"context_length": -8192}, None),
            ({"context_length": True}, None),
            ({"max_model_len": 2**31, "context_length": 8192}, 8192),
        ],
    )
    def test_it_reads_the_context_length(self, entry: dict[str, Any], length: int | None) -> None:
        (model,) = models_in(orjson.dumps({"data": [{"id": "m", **entry}]}))

        assert model.context_length == length

    @pytest.mark.parametrize("odd", ["", "m" * 201, "m\0", "m\nn"])
    def test_it_passes_over_a_name_that_cannot_be_kept_as_it_is(self, odd: str) -> None:
        models = models_in(orjson.dumps({"data": [{"id": odd}, {"id": "m"}]}))

        assert [model.name for model in models] == ["m"]

    @pytest.mark.parametrize("body", [b"ok", b"[]", b"{}", b'{"data":[{}]}', b'{"data":[{"id":7}]}'])
    def test_it_calls_anything_else_malformed(self, body: bytes) -> None:
        with pytest.raises(ProviderFailure) as raised:
            models_in(body)

        assert raised.value.event is Event.MALFORMED
