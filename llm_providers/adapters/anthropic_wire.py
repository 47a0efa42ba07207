"""The Messages API's form of a request, and what its answers say, without any network."""

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import orjson

from llm_providers.adapters.failures import failure_in_stream, malformed
from llm_providers.adapters.foreign import UNREADABLE, arguments_of, can_be_called, count_of, name_of, text_of
from llm_providers.adapters.framing import Frame
from llm_providers.errors import Event, ProviderFailure
from llm_providers.types import (
    AdapterEvent,
    AnswerOrigin,
    Capability,
    ChatCall,
    Finished,
    FinishReason,
    ImagePart,
    Message,
    ModelDescription,
    ReasoningDelta,
    Role,
    TextDelta,
    Tool,
    ToolCall,
    ToolCallDelta,
    Usage,
)

# The wire demands a limit; thinking counts against it, and every current model allows four times as much.
DEFAULT_MAX_TOKENS = 16_384

_FINISH_REASONS = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "pause_turn": FinishReason.STOP,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "tool_use": FinishReason.TOOL_CALLS,
    "refusal": FinishReason.REFUSED,
}
_TOOL_CHOICES = {"none": "none", "auto": "auto", "required": "any"}
_CAPABILITIES = frozenset({Capability.CHAT, Capability.VISION, Capability.TOOLS, Capability.JSON_SCHEMA})


# --- requests ------------------------------------------------------------------------------------------------------


def chat_body(call: ChatCall) -> dict[str, Any]:
    """The streamed request. Temperature and the like are never sent: since 2026-10-21 they are refused."""
    body: dict[str, Any] = {
        "model": call.model,
        "max_tokens": call.sampling.max_tokens or DEFAULT_MAX_TOKENS,
        "messages": _turns(call.messages),
        "stream": True,
    }
    if system := "\n\n".join(message.text for message in call.messages if message.role is Role.SYSTEM):
        body["system"] = system
    if call.sampling.stop:
        body["stop_sequences"] = list(call.sampling.stop)
    if call.tools:
        body["tools"] = [_tool(tool) for tool in call.tools]
        if call.tool_choice is not None:
            body["tool_choice"] = _tool_choice(call.tool_choice)
    if call.answer_schema is not None:
        body["output_config"] = {"format": {"type": "json_schema", "schema": dict(call.answer_schema.schema)}}
    return body


def _turns(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """There is no role for tools: their results begin the next turn of the user. A turn without content, such as an
    answer that was stopped at once, would be refused.
    """
    spoken = [message for message in messages if message.role is not Role.SYSTEM and _says_something(message)]
    by_speaker = groupby(spoken, key=lambda message: "assistant" if message.role is Role.ASSISTANT else "user")
    return [{"role": role, "content": _blocks(tuple(turn))} for role, turn in by_speaker]


def _says_something(message: Message) -> bool:
    return bool(message.text.strip() or message.images or message.tool_calls or message.role is Role.TOOL)


def _blocks(turn: Sequence[Message]) -> list[dict[str, Any]]:
    results = [message for message in turn if message.role is Role.TOOL]
    return [
        *({"type": "tool_result", "tool_use_id": one.tool_call_id, "content": one.text} for one in results),
        *(block for one in turn if one.role is not Role.TOOL for block in _content(one)),
    ]


def _content(message: Message) -> Iterator[dict[str, Any]]:
    yield from (_image(image) for image in message.images)
    if message.text.strip():  # a blank block is refused
        yield {"type": "text", "text": message.text}
    yield from (_tool_use(call) for call in message.tool_calls)


def _image(image: ImagePart) -> dict[str, Any]:
    source = {"type": "base64", "media_type": image.mime, "data": b64encode(image.content).decode()}
    return {"type": "image", "source": source}


def _tool_use(call: ToolCall) -> dict[str, Any]:
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": arguments_of(call.arguments)}


def _tool(tool: Tool) -> dict[str, Any]:
    return {"name": tool.name, "description": tool.description, "input_schema": dict(tool.parameters)}


def _tool_choice(choice: str) -> dict[str, Any]:
    if choice in _TOOL_CHOICES:
        return {"type": _TOOL_CHOICES[choice]}
    return {"type": "tool", "name": choice}


# --- answers -------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Counts:
    """Tokens as told so far. The input leaves out what the cache gave and took; the output is told cumulatively."""

    input: int | None = None
    cache_read: int | None = None
    cache_creation: int | None = None
    output: int | None = None
    thinking: int | None = None

    def take(self, told: Mapping[str, Any], *, with_output: bool) -> None:
        self.input = _newest(told, "input_tokens", self.input)
        self.cache_read = _newest(told, "cache_read_input_tokens", self.cache_read)
        self.cache_creation = _newest(told, "cache_creation_input_tokens", self.cache_creation)
        if with_output:
            self.output = _newest(told, "output_tokens", self.output)
            self.thinking = _newest(told.get("output_tokens_details") or {}, "thinking_tokens", self.thinking)

    @property
    def usage(self) -> Usage:
        parts = (self.input, self.cache_read, self.cache_creation)
        taken = sum(part or 0 for part in parts) if self.input is not None else None
        return Usage(taken, self.output, self.cache_read, self.thinking)


class ChatAnswer:
    """Reads the events of one streamed answer, which is complete with `message_stop`."""

    def __init__(self, request_id: str | None) -> None:
        self.is_complete = False
        self._request_id = name_of(request_id)
        self._counts = _Counts()
        self._stop_reason: str | None = None
        self._tool_calls: dict[int, int] = {}  # by the index of their block
        self._unwritten: dict[int, dict[str, Any]] = {}  # the arguments of calls of which no piece has come

    def events(self, frame: Frame) -> Sequence[AdapterEvent]:
        """What one event says; raises `ProviderFailure` for an error and for nonsense. Unknown events say nothing."""
        if self.is_complete:
            return ()
        try:
            said = orjson.loads(frame.data)
            return list(self._events(said))
        except UNREADABLE as error:
            raise malformed("not an event of an answer", frame.data, error) from error

    def cut(self) -> ProviderFailure:
        return ProviderFailure(Event.CUT, "the answer ended without `message_stop`", http_status=200)

    def _events(self, said: dict[str, Any]) -> Iterator[AdapterEvent]:
        match said["type"]:
            case "error":
                raise failure_in_stream(said)
            case "message_start":
                yield from self._start(said["message"])
            case "content_block_start":
                yield from self._block(said["index"], said["content_block"])
            case "content_block_delta":
                yield from self._delta(said["index"], said["delta"])
            case "content_block_stop" if said["index"] in self._unwritten:
                written = orjson.dumps(self._unwritten.pop(said["index"])).decode()
                yield ToolCallDelta(self._tool_calls[said["index"]], written)
            case "message_delta":
                self._stop_reason = said["delta"].get("stop_reason") or self._stop_reason
                self._counts.take(said.get("usage") or {}, with_output=True)
            case "message_stop":
                yield from self._stop()

    def _start(self, message: dict[str, Any]) -> Iterator[AdapterEvent]:
        yield AnswerOrigin(name_of(message.get("model")), self._request_id or name_of(message.get("id")))
        self._counts.take(message.get("usage") or {}, with_output=False)
        if self._counts.usage != Usage():  # known already if the answer breaks off
            yield self._counts.usage

    def _block(self, index: int, block: dict[str, Any]) -> Iterator[AdapterEvent]:
        match block["type"]:
            case "text" if block.get("text"):
                yield TextDelta(text_of(block["text"]))
            case "thinking" if block.get("thinking"):
                yield ReasoningDelta(text_of(block["thinking"]))
            case "tool_use":
                place = self._tool_calls[index] = len(self._tool_calls)
                self._unwritten[index] = dict(block.get("input") or {})
                yield ToolCallDelta(place, "", id=text_of(block["id"]), name=text_of(block["name"]))

    def _delta(self, index: int, delta: dict[str, Any]) -> Iterator[AdapterEvent]:
        match delta["type"]:
            case "text_delta":
                yield TextDelta(text_of(delta["text"]))
            case "thinking_delta":
                yield ReasoningDelta(text_of(delta["thinking"]))
            case "input_json_delta" if delta["partial_json"] and index in self._tool_calls:
                self._unwritten.pop(index, None)
                yield ToolCallDelta(self._tool_calls[index], text_of(delta["partial_json"]))

    def _stop(self) -> Iterator[AdapterEvent]:
        if self._stop_reason is None:
            raise self.cut()
        self.is_complete = True
        if self._counts.usage != Usage():
            yield self._counts.usage
        yield Finished(_FINISH_REASONS.get(self._stop_reason, FinishReason.STOP))


def _newest(told: Mapping[str, Any], name: str, before: int | None) -> int | None:
    count = count_of(told.get(name))
    return before if count is None else count


# --- models --------------------------------------------------------------------------------------------------------


def models_in(body: bytes) -> tuple[tuple[ModelDescription, ...], str | None]:
    """(the models of one page, the id after which the next page begins or None at the end)."""
    try:
        page = orjson.loads(body)
        described = tuple(_description(entry) for entry in page["data"] if can_be_called(entry["id"]))
        return described, text_of(page["last_id"]) if page.get("has_more") else None
    except UNREADABLE as error:
        raise malformed("not a list of models", body, error) from error


def _description(entry: dict[str, Any]) -> ModelDescription:
    context, output = count_of(entry.get("max_input_tokens")), count_of(entry.get("max_tokens"))
    return ModelDescription(entry["id"], _CAPABILITIES, context or None, output or None)
