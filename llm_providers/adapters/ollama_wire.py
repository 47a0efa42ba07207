"""Ollama's own form of a request, and what its answers say, without any network."""

import secrets
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from llm_providers.adapters.failures import failure_in_stream, malformed
from llm_providers.adapters.foreign import UNREADABLE, arguments_of, can_be_called, count_of, name_of, text_of
from llm_providers.adapters.openai_models import sounds_like_embedding
from llm_providers.errors import Event, ProviderFailure
from llm_providers.types import (
    AdapterEvent,
    AnswerOrigin,
    Capability,
    ChatCall,
    EmbedCall,
    Embeddings,
    Finished,
    FinishReason,
    Message,
    ModelDescription,
    ReasoningDelta,
    TextDelta,
    Tool,
    ToolCall,
    ToolCallDelta,
    Usage,
)

_CAPABILITIES = {
    "completion": Capability.CHAT,
    "embedding": Capability.EMBED,
    "vision": Capability.VISION,
    "tools": Capability.TOOLS,
}


# --- requests ------------------------------------------------------------------------------------------------------


def chat_body(call: ChatCall) -> dict[str, Any]:
    """The streamed chat request.

    `truncate` is off: by default Ollama drops the oldest turns of a prompt that is too long, without a word.
    """
    body: dict[str, Any] = {
        "model": call.model,
        "messages": list(_messages(call.messages)),
        "stream": True,
        "truncate": False,
    }
    if call.tools and call.tool_choice != "none":  # it has no word for any other choice
        body["tools"] = [_tool(tool) for tool in call.tools]
    if call.answer_schema is not None:
        body["format"] = dict(call.answer_schema.schema)
    if options := _options(call):
        body["options"] = options
    return body


def embed_body(call: EmbedCall) -> dict[str, Any]:
    return {"model": call.model, "input": list(call.inputs), "truncate": False}


def _options(call: ChatCall) -> dict[str, Any]:
    sampling = call.sampling
    wished = {
        "num_predict": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "seed": sampling.seed,
        "stop": list(sampling.stop) or None,
    }
    return {name: value for name, value in wished.items() if value is not None}


def _messages(messages: Sequence[Message]) -> Iterator[dict[str, Any]]:
    names = {call.id: call.name for message in messages for call in message.tool_calls}
    for message in messages:
        encoded: dict[str, Any] = {"role": message.role, "content": message.text}
        if message.images:
            encoded["images"] = [b64encode(image.content).decode() for image in message.images]
        if message.tool_calls:
            encoded["tool_calls"] = [_tool_call(call) for call in message.tool_calls]
        if message.tool_call_id is not None:
            encoded["tool_call_id"] = message.tool_call_id
            encoded["tool_name"] = names.get(message.tool_call_id, "")
        yield encoded


def _tool(tool: Tool) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": function}


def _tool_call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "function": {"name": call.name, "arguments": arguments_of(call.arguments)}}


# --- answers -------------------------------------------------------------------------------------------------------


class ChatAnswer:
    """Reads the lines of one streamed answer, which is complete with the line that says `done`."""

    def __init__(self) -> None:
        self.is_complete = False
        self._is_introduced = False
        self._tool_calls = 0

    def events(self, line: bytes) -> Sequence[AdapterEvent]:
        """What one line says; raises `ProviderFailure` for an error and for nonsense."""
        if self.is_complete:
            return ()
        try:
            said = orjson.loads(line)
            if said.get("error"):
                raise failure_in_stream(said)
            return list(self._events(said))
        except UNREADABLE as error:
            raise malformed("not a line of an answer", line, error) from error

    def cut(self) -> ProviderFailure:
        return ProviderFailure(Event.CUT, "the answer ended without `done`", http_status=200)

    def _events(self, said: dict[str, Any]) -> Iterator[AdapterEvent]:
        if not self._is_introduced:
            self._is_introduced = True
            yield AnswerOrigin(name_of(said.get("model")), None)
        message = said["message"]
        if thought := message.get("thinking"):
            yield ReasoningDelta(text_of(thought))
        if text := message.get("content"):
            yield TextDelta(text_of(text))
        for call in message.get("tool_calls") or ():
            yield self._tool_call(call)
        if said.get("done"):
            self.is_complete = True
            yield from _ending(said, asked_for_tools=self._tool_calls > 0)

    def _tool_call(self, call: dict[str, Any]) -> ToolCallDelta:
        """Calls come whole, and from older versions without an id."""
        index, self._tool_calls = self._tool_calls, self._tool_calls + 1
        function = call["function"]
        arguments = orjson.dumps(function.get("arguments") or {}).decode()
        call_id = call.get("id") or f"call_{secrets.token_hex(4)}"
        return ToolCallDelta(index, arguments, id=text_of(call_id), name=text_of(function["name"]))


def _ending(said: Mapping[str, Any], *, asked_for_tools: bool) -> Iterator[AdapterEvent]:
    """Counts that are zero are left out by the server, and the one of the prompt now and then altogether."""
    usage = Usage(count_of(said.get("prompt_eval_count")), count_of(said.get("eval_count")))
    if usage != Usage():
        yield usage
    if said.get("done_reason") == "length":
        yield Finished(FinishReason.LENGTH)
    else:
        yield Finished(FinishReason.TOOL_CALLS if asked_for_tools else FinishReason.STOP)


def embeddings_in(body: bytes, *, count: int) -> Embeddings:
    """The `count` vectors of an answer; anything but `count` of them is malformed."""
    try:
        answer = orjson.loads(body)
        if answer.get("error"):
            raise failure_in_stream(answer)
        vectors = tuple(tuple(map(float, vector)) for vector in answer["embeddings"])
        if len(vectors) != count:
            raise ValueError(f"{len(vectors)} vectors")
        usage = Usage(count_of(answer.get("prompt_eval_count")))
        return Embeddings(vectors, name_of(answer.get("model")), usage)
    except UNREADABLE as error:
        raise malformed(f"not {count} vectors", body, error) from error


# --- models --------------------------------------------------------------------------------------------------------


def listed_in(body: bytes) -> tuple[dict[str, Any], ...]:
    """The entries of /api/tags or /api/ps, each with a `name`."""
    try:
        entries = tuple(entry for entry in orjson.loads(body)["models"] or () if can_be_called(entry["name"]))
    except UNREADABLE as error:
        raise malformed("not a list of models", body, error) from error
    return entries


def details_in(body: bytes) -> dict[str, Any]:
    """What /api/show tells of one model."""
    try:
        shown = orjson.loads(body)
        shown.get("capabilities")
    except UNREADABLE as error:
        raise malformed("not the details of a model", body, error) from error
    return dict(shown)


def description_of(entry: Mapping[str, Any], shown: Mapping[str, Any]) -> ModelDescription:
    """A model as /api/tags lists it and /api/show describes it; older versions tell less."""
    name = str(entry["name"])
    words = shown.get("capabilities") or entry.get("capabilities")
    known = frozenset(_CAPABILITIES[word] for word in words or () if word in _CAPABILITIES)
    if not words:
        known = frozenset({Capability.EMBED if sounds_like_embedding(name) else Capability.CHAT})
    is_remote = bool(entry.get("remote_host") or shown.get("remote_host"))
    return ModelDescription(name, known, _context_length(shown), is_remote=is_remote)


def _context_length(shown: Mapping[str, Any]) -> int | None:
    """`<architecture>.context_length` of the model file: the longest that the model was made for."""
    info = shown.get("model_info") or {}
    found = (count_of(value) for key, value in info.items() if key.endswith(".context_length"))
    return next(filter(None, found), None)
