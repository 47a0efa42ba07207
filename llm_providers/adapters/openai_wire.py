"""The OpenAI form of a request, and what its answers say, without any network."""

import secrets
from base64 import b64encode
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from llm_providers.adapters.failures import failure_in_stream, malformed
from llm_providers.adapters.foreign import UNREADABLE, count_of, name_of, text_of
from llm_providers.adapters.framing import Frame
from llm_providers.errors import Event, ProviderFailure
from llm_providers.types import (
    AdapterEvent,
    AnswerOrigin,
    ChatCall,
    EmbedCall,
    Embeddings,
    Finished,
    FinishReason,
    ImagePart,
    Message,
    ReasoningDelta,
    TextDelta,
    Tool,
    ToolCall,
    ToolCallDelta,
    Usage,
)

_FINISH_REASONS = {
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.REFUSED,
}


# --- requests ------------------------------------------------------------------------------------------------------


def chat_body(call: ChatCall, *, length_field: str = "max_tokens") -> dict[str, Any]:
    """The streamed chat request; `length_field` is what the provider calls the longest answer."""
    body: dict[str, Any] = {
        "model": call.model,
        "messages": [_message(message) for message in call.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if call.tools:
        body["tools"] = [_tool(tool) for tool in call.tools]
    if call.tool_choice is not None:
        body["tool_choice"] = _tool_choice(call.tool_choice)
    if call.answer_schema is not None:
        schema = {"name": call.answer_schema.name, "schema": dict(call.answer_schema.schema), "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return body | _sampling(call, length_field)


def embed_body(call: EmbedCall) -> dict[str, Any]:
    return {"model": call.model, "input": list(call.inputs), "encoding_format": "float"}


def _sampling(call: ChatCall, length_field: str) -> dict[str, Any]:
    sampling = call.sampling
    wished = {
        length_field: sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "seed": sampling.seed,
        "stop": list(sampling.stop) or None,
    }
    return {name: value for name, value in wished.items() if value is not None}


def _message(message: Message) -> dict[str, Any]:
    encoded: dict[str, Any] = {"role": message.role, "content": _content(message)}
    if message.tool_calls:
        encoded["tool_calls"] = [_tool_call(call) for call in message.tool_calls]
    if message.tool_call_id is not None:
        encoded["tool_call_id"] = message.tool_call_id
    return encoded


def _content(message: Message) -> str | list[dict[str, Any]] | None:
    if message.images:
        text = [{"type": "text", "text": message.text}] if message.text else []
        return [*text, *(_image(image) for image in message.images)]
    return None if message.tool_calls and not message.text else message.text


def _image(image: ImagePart) -> dict[str, Any]:
    url = f"data:{image.mime};base64,{b64encode(image.content).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}


def _tool(tool: Tool) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": function}


def _tool_call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _tool_choice(choice: str) -> str | dict[str, Any]:
    """none, auto and required are words of the wire; anything else is the name of the one tool to be called."""
    if choice in ("none", "auto", "required"):
        return choice
    return {"type": "function", "function": {"name": choice}}


# --- answers -------------------------------------------------------------------------------------------------------


class ChatAnswer:
    """Reads the chunks of one streamed answer.

    It is complete after a finish reason *and* `[DONE]`; either alone is what a broken answer looks like, too.
    """

    def __init__(self, request_id: str | None) -> None:
        self.is_complete = False
        self._request_id = name_of(request_id)
        self._is_introduced = False
        self._was_refused = False
        self._finish_reason: str | None = None
        self._tool_calls: dict[int, str] = {}

    def events(self, frame: Frame) -> Sequence[AdapterEvent]:
        """What one frame says; raises `ProviderFailure` for an error, for nonsense and for `[DONE]` too early."""
        event, data = frame
        if self.is_complete:
            return ()
        if data.startswith(b"[DONE]"):
            return (self._finished(),)
        try:
            chunk = orjson.loads(data)
            if event == b"error" or chunk.get("error") or chunk.get("object") == "error":
                raise failure_in_stream(chunk)
            return self._chunk(chunk)
        except UNREADABLE as error:
            raise malformed("not a chunk of an answer", data, error) from error

    def cut(self) -> ProviderFailure:
        marker = "[DONE]" if self._finish_reason else "a finish reason"
        return ProviderFailure(Event.CUT, f"the answer ended without {marker}", http_status=200)

    def _finished(self) -> Finished:
        if self._finish_reason is None:
            raise self.cut()
        self.is_complete = True
        return Finished(self._reason())

    def _reason(self) -> FinishReason:
        if self._was_refused:
            return FinishReason.REFUSED
        reason = _FINISH_REASONS.get(self._finish_reason or "", FinishReason.STOP)
        # Some servers say "stop" when the model has asked for a tool.
        return FinishReason.TOOL_CALLS if reason is FinishReason.STOP and self._tool_calls else reason

    def _chunk(self, chunk: dict[str, Any]) -> list[AdapterEvent]:
        events: list[AdapterEvent] = []
        choices = chunk.get("choices")
        if not self._is_introduced and (choices or chunk.get("model")):
            self._is_introduced = True
            events.append(AnswerOrigin(name_of(chunk.get("model")), self._request_id or name_of(chunk.get("id"))))
        if choices:
            self._choice(choices[0], events)
        if counted := _usage(chunk):
            events.append(counted)
        return events

    def _choice(self, choice: dict[str, Any], events: list[AdapterEvent]) -> None:
        delta = choice.get("delta")
        if delta:
            self._delta(delta, events)
        reason = choice.get("finish_reason")
        if reason == "error":
            raise failure_in_stream(choice.get("error"))  # beside it stands what was written
        if reason:
            self._finish_reason = reason if isinstance(reason, str) else "stop"

    def _delta(self, delta: dict[str, Any], events: list[AdapterEvent]) -> None:
        if text := delta.get("content"):
            events.append(TextDelta(text_of(text)))
        if thought := delta.get("reasoning_content") or delta.get("reasoning"):
            events.append(ReasoningDelta(text_of(thought)))
        if refusal := delta.get("refusal"):
            self._was_refused = True
            events.append(TextDelta(text_of(refusal)))
        if calls := delta.get("tool_calls"):
            events.extend(self._tool_call_deltas(calls))

    def _tool_call_deltas(self, pieces: list[dict[str, Any]]) -> Iterator[ToolCallDelta]:
        for piece in pieces:
            function = piece.get("function") or {}
            arguments = text_of(function.get("arguments") or "")
            call_id = name_of(piece.get("id"))
            index = self._index(piece.get("index"), call_id)
            if index in self._tool_calls:
                yield ToolCallDelta(index, arguments)
                continue
            self._tool_calls[index] = call_id or f"call_{secrets.token_hex(12)}"
            yield ToolCallDelta(index, arguments, id=self._tool_calls[index], name=text_of(function["name"]))

    def _index(self, stated: Any, call_id: str | None) -> int:
        """Where no index is stated, an id that is new begins the next call."""
        if stated is not None:
            return int(stated)
        known = len(self._tool_calls)
        is_new = not known or (call_id and call_id != self._tool_calls.get(known - 1))
        return known if is_new else known - 1


def _usage(chunk: dict[str, Any]) -> Usage | None:
    """Tokens as counted; llama.cpp tells them in `timings`, too. Older LocalAI sends zeros for "unknown"."""
    if counted := chunk.get("usage"):
        usage = usage_of(counted)
    elif timings := chunk.get("timings"):
        usage = _usage_of_timings(timings)
    else:
        return None
    return usage if usage.input_tokens or usage.output_tokens else None


def _usage_of_timings(timings: dict[str, Any]) -> Usage:
    read, cached = count_of(timings.get("prompt_n")), count_of(timings.get("cache_n")) or 0
    return Usage(None if read is None else count_of(read + cached), count_of(timings.get("predicted_n")), cached)


def usage_of(counted: dict[str, Any]) -> Usage:
    return Usage(
        count_of(counted.get("prompt_tokens")),
        count_of(counted.get("completion_tokens")),
        count_of((counted.get("prompt_tokens_details") or {}).get("cached_tokens")),
        count_of((counted.get("completion_tokens_details") or {}).get("reasoning_tokens")),
    )


def embeddings_in(body: bytes, *, count: int) -> Embeddings:
    """The `count` vectors of an answer in the order of their inputs; anything but `count` of them is malformed."""
    try:
        answer = orjson.loads(body)
        if answer.get("error"):
            raise failure_in_stream(answer)
        vectors = {item["index"]: tuple(map(float, item["embedding"])) for item in answer["data"]}
        ordered = tuple(vectors[index] for index in range(count))
        usage = usage_of(answer.get("usage") or {})
        return Embeddings(ordered, name_of(answer.get("model")), Usage(usage.input_tokens))
    except UNREADABLE as error:
        raise malformed(f"not {count} vectors", body, error) from error
