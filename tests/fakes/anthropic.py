"""A fake of the Messages API on loopback, key by key in the order of the original."""

import asyncio
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from email.utils import formatdate
from time import time
from typing import Any

import orjson

from tests.fakes.behaviour import Answer, FakeToolCall, Fault
from tests.fakes.broken import BROKEN, PAGE
from tests.fakes.server import FakeModelServer, RecordedRequest, Wire

Headers = tuple[tuple[str, str], ...]
Send = Callable[[bytes], Any]

_TOO_LONG = (400, "invalid_request_error", "prompt is too long: 60015 tokens > 8192 maximum")
_OVERLOADED = (529, "overloaded_error", "Overloaded")
_RATE_LIMITED = (429, "rate_limit_error", "This request would exceed your organization's rate limit of 50 requests.")
# By fault: status, type and message of the error.
REFUSALS: Mapping[Fault, tuple[int, str, str]] = {
    Fault.BAD_REQUEST: (400, "invalid_request_error", "messages: at least one message is required"),
    Fault.CONTEXT_EXCEEDED: _TOO_LONG,
    Fault.UNAUTHORISED: (401, "authentication_error", "invalid x-api-key"),
    Fault.QUOTA_402: (402, "billing_error", "Your account has a billing issue."),
    Fault.FORBIDDEN: (403, "permission_error", "Your API key does not have permission to use the resource."),
    Fault.MODEL_MISSING: (404, "not_found_error", "model: claude-nope"),
    Fault.PATH_MISSING: (404, "not_found_error", "Not Found"),
    Fault.CONFLICT: (409, "conflict_error", "The request conflicts with another one."),
    Fault.RATE_LIMITED: _RATE_LIMITED,
    Fault.RATE_LIMITED_SECONDS: _RATE_LIMITED,
    Fault.RATE_LIMITED_DATE: _RATE_LIMITED,
    Fault.RATE_LIMITED_MS: _RATE_LIMITED,
    Fault.SERVER_ERROR: (500, "api_error", "Internal server error"),
    Fault.GATEWAY_TIMEOUT: (504, "timeout_error", "The request timed out."),
    Fault.OVERLOADED: _OVERLOADED,
}
LACKS = frozenset(
    {
        Fault.PARAMETER_REJECTED,
        Fault.QUOTA,
        Fault.REQUEST_TIMEOUT,
        Fault.UNPROCESSABLE,
        Fault.MODEL_CRASHED,
        Fault.UNAVAILABLE,
        Fault.LOADING,
        Fault.BUSY,
        Fault.ERROR_FRAME_THEN_DONE,
        Fault.COMMENTS_AND_CRLF,
    }
)
_BREAKS = {
    Fault.CUT_BEFORE_CONTENT,
    Fault.CUT_AFTER_CONTENT,
    Fault.RESET_AFTER_CONTENT,
    Fault.STALL,
    Fault.MALFORMED,
    Fault.ERROR_FRAME,
    Fault.OVERLOADED_FRAME,
    Fault.CONTEXT_EXCEEDED_FRAME,
}
_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
_SAMPLING = ("temperature", "top_p", "top_k")


class FakeAnthropic(FakeModelServer):
    """`page_size` is how many models it lists at a time."""

    def __init__(self, *, reply: Answer | None = None, api_key: str | None = None, port: int = 0) -> None:
        super().__init__(reply=reply or Answer(headers=()), port=port)
        self.api_key = api_key
        self.models: tuple[dict[str, Any], ...] = (model("claude-sonnet-5-5"), model("claude-haiku-5-5"))
        self.page_size = 1000

    @property
    def model_names(self) -> list[str]:
        return [model["id"] for model in self.models]

    async def answer(self, request: RecordedRequest, wire: Wire) -> None:
        fault = self.fault_of_next()
        if fault in BROKEN:
            await BROKEN[fault](wire)
        elif fault is Fault.TOO_LARGE:  # by what stands before the API
            await wire.whole(413, PAGE, (("Content-Type", "text/html"),))
        elif self.api_key and not self._is_signed(request):
            await self._refuse(REFUSALS[Fault.UNAUTHORISED], wire)
        elif fault in REFUSALS:
            await self._refuse(REFUSALS[fault], wire, _waits(fault))
        else:
            await self._route(request, wire, fault)

    async def _route(self, request: RecordedRequest, wire: Wire, fault: Fault) -> None:
        path, _, query = request.path.partition("?")
        match request.method, path:
            case "POST", "/v1/messages":
                await self._message(request, wire, fault)
            case "GET", "/v1/models":
                await self._models(dict(pair.split("=") for pair in query.split("&") if pair), wire)
            case _:
                await self._refuse(REFUSALS[Fault.PATH_MISSING], wire)

    async def _message(self, request: RecordedRequest, wire: Wire, fault: Fault) -> None:
        asked = request.json()
        if wrong := _mistake_in(asked, version=request.headers.get("anthropic-version", "")):
            await self._refuse((400, "invalid_request_error", wrong), wire)
            return
        if fault is Fault.SLOW_FIRST_BYTE:
            await asyncio.sleep(self.first_byte_delay_s)
        written = MessageBytes(self.reply, asked, counts_usage=fault is not Fault.NO_USAGE)
        if not asked.get("stream"):
            await wire.whole(200, written.whole(), (("Content-Type", "application/json"), *self._own_headers()))
            return
        kind = ("Content-Type", "text/event-stream; charset=utf-8")
        await wire.head(200, (kind, ("Transfer-Encoding", "chunked"), *self._own_headers()))
        if fault in _BREAKS:
            await self._stream_broken(written, wire, fault)
        else:
            await self._stream(written, wire, fault)

    async def _stream(self, written: "MessageBytes", wire: Wire, fault: Fault) -> None:
        send: Send = wire.drip if fault is Fault.SPLIT_CHARACTER else wire.chunk
        await send(written.opening())
        for content in written.content() if fault is not Fault.EMPTY else ():
            await send(content)
            if self.reply.chunk_delay_s:
                await asyncio.sleep(self.reply.chunk_delay_s)
        if fault is not Fault.NO_FINISH_REASON:
            await send(written.reason())
        if fault is not Fault.NO_TERMINAL_MARKER:
            await send(event({"type": "message_stop"}))
        if fault is Fault.STALL_AFTER_END:
            await wire.until_gone()
        await wire.last_chunk()

    async def _stream_broken(self, written: "MessageBytes", wire: Wire, fault: Fault) -> None:
        await wire.chunk(written.opening())
        for content in written.first_words(0 if fault is Fault.CUT_BEFORE_CONTENT else 3):
            await wire.chunk(content)
        match fault:
            case Fault.STALL:
                await wire.until_gone()
            case Fault.CUT_BEFORE_CONTENT | Fault.CUT_AFTER_CONTENT:
                wire.close()
                return
            case Fault.RESET_AFTER_CONTENT:
                await asyncio.sleep(0.05)  # a reset throws away what the other side has not read yet
                wire.reset()
                return
            case Fault.MALFORMED:
                await wire.chunk(b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"de\n\n')
            case Fault.OVERLOADED_FRAME:
                await wire.chunk(event(_error("overloaded_error", "Overloaded")))
            case Fault.CONTEXT_EXCEEDED_FRAME:
                await wire.chunk(event(_error(*_TOO_LONG[1:])))
            case _:
                await wire.chunk(event(_error("api_error", "Internal server error")))
        await wire.last_chunk()

    async def _models(self, query: Mapping[str, str], wire: Wire) -> None:
        names = self.model_names
        begin = names.index(query["after_id"]) + 1 if "after_id" in query else 0
        end = begin + min(self.page_size, int(query.get("limit", "20")))
        page = self.models[begin:end]
        said = {
            "data": page,
            "has_more": end < len(self.models),
            "first_id": page[0]["id"] if page else None,
            "last_id": page[-1]["id"] if page else None,
        }
        await wire.whole(200, orjson.dumps(said), (("Content-Type", "application/json"), *self._own_headers()))

    def _is_signed(self, request: RecordedRequest) -> bool:
        told = (request.headers.get("x-api-key"), request.headers.get("authorization"))
        return self.api_key == told[0] or f"Bearer {self.api_key}" == told[1]

    def _own_headers(self) -> Headers:
        return (("request-id", f"req_{secrets.token_hex(12)}"), ("anthropic-organization-id", "0f3a"))

    async def _refuse(self, said: tuple[int, str, str], wire: Wire, headers: Headers = ()) -> None:
        status, kind, message = said
        body = orjson.dumps(_error(kind, message) | {"request_id": f"req_{secrets.token_hex(12)}"})
        await wire.whole(status, body, (("Content-Type", "application/json"), *self._own_headers(), *headers))


class MessageBytes:
    """One answer to the request `asked`. The contract's usage counts what the cache gave apart from the input."""

    def __init__(self, answer: Answer, asked: Mapping[str, Any], *, counts_usage: bool) -> None:
        self._answer = answer
        self._counts_usage = counts_usage
        self._message: dict[str, Any] = {
            "id": f"msg_{secrets.token_hex(12)}",
            "type": "message",
            "role": "assistant",
            "model": asked["model"],
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
        }

    def opening(self) -> bytes:
        usage = {"usage": self._input_counts() | {"output_tokens": 1}} if self._counts_usage else {}
        start = event({"type": "message_start", "message": self._message | usage})
        return start + event({"type": "ping"})

    def content(self) -> Iterator[bytes]:
        """The blocks one after the other: thinking, text, calls; each opened, filled and closed."""
        index = 0
        if self._answer.thoughts:
            thinking = {"type": "thinking", "thinking": "", "signature": ""}
            deltas = [{"type": "thinking_delta", "thinking": thought} for thought in self._answer.thoughts]
            yield from _block(index, thinking, [*deltas, {"type": "signature_delta", "signature": "EqQBCgIYAhIM"}])
            index += 1
        if self._answer.text:
            yield from _block(index, {"type": "text", "text": ""}, self._texts())
            index += 1
        for call in self._answer.tool_calls:
            opened = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
            pieces = ("", *call.fragments) if call.fragments else ()  # the first is always empty
            yield from _block(index, opened, [{"type": "input_json_delta", "partial_json": one} for one in pieces])
            index += 1

    def first_words(self, count: int) -> list[bytes]:
        """A text block that is opened and never closed."""
        opened = list(_block(0, {"type": "text", "text": ""}, self._texts()))
        return opened[: count + 1] if count else []

    def reason(self) -> bytes:
        delta = {"stop_reason": _STOP_REASONS[self._answer.finish_reason], "stop_sequence": None}
        _, written, _, thought = self._answer.usage
        details = {"output_tokens_details": {"thinking_tokens": thought}} if thought else {}
        usage = {"usage": {"output_tokens": written, **details}} if self._counts_usage else {}
        return event({"type": "message_delta", "delta": delta, **usage})

    def whole(self) -> bytes:
        content: list[dict[str, Any]] = []
        if self._answer.thoughts:
            thinking = "".join(self._answer.thoughts)
            content.append({"type": "thinking", "thinking": thinking, "signature": "EqQBCgIYAhIM"})
        if self._answer.text:
            content.append({"type": "text", "text": self._answer.text})
        content.extend(_tool_use(call) for call in self._answer.tool_calls)
        reason = _STOP_REASONS[self._answer.finish_reason]
        usage = self._input_counts() | {"output_tokens": self._answer.usage[1]}
        return orjson.dumps(self._message | {"content": content, "stop_reason": reason, "usage": usage})

    def _texts(self) -> list[dict[str, Any]]:
        return [{"type": "text_delta", "text": word} for _ in range(self._answer.repeat) for word in self._answer.words]

    def _input_counts(self) -> dict[str, int]:
        taken, _, cached, _ = self._answer.usage
        return {"input_tokens": taken - cached, "cache_creation_input_tokens": 0, "cache_read_input_tokens": cached}


def event(said: Mapping[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (str(said["type"]).encode(), orjson.dumps(said))


def model(name: str) -> dict[str, Any]:
    return {
        "id": name,
        "type": "model",
        "display_name": name.title(),
        "created_at": "2026-06-01T00:00:00Z",
        "max_input_tokens": 1_000_000,
        "max_tokens": 128_000,
    }


def _block(index: int, opened: Mapping[str, Any], deltas: list[dict[str, Any]]) -> Iterator[bytes]:
    yield event({"type": "content_block_start", "index": index, "content_block": opened})
    yield from (event({"type": "content_block_delta", "index": index, "delta": delta}) for delta in deltas)
    yield event({"type": "content_block_stop", "index": index})


def _tool_use(call: FakeToolCall) -> dict[str, Any]:
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": orjson.loads(call.arguments or "{}")}


def _error(kind: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}}


def _mistake_in(asked: Mapping[str, Any], *, version: str) -> str | None:
    """What the newest version refuses."""
    if not version:
        return "anthropic-version: header is required"
    if "max_tokens" not in asked:
        return "max_tokens: Field required"
    if version >= "2026-10-21" and (refused := [name for name in _SAMPLING if name in asked]):
        return f"{refused[0]}: Extra inputs are not permitted"
    return _mistake_in_turns(asked.get("messages") or [])


def _mistake_in_turns(turns: Sequence[Mapping[str, Any]]) -> str | None:
    if not turns:
        return "messages: at least one message is required"
    if any(turn["role"] not in ("user", "assistant") for turn in turns):
        return "messages.0.role: Input should be 'user' or 'assistant'"
    if any(_is_blank(turn["content"]) for turn in turns):
        return "messages: all messages must have non-empty content"
    is_prefill = turns[-1]["role"] == "assistant"
    return "This model does not support assistant message prefill." if is_prefill else None


def _is_blank(content: str | list[dict[str, Any]]) -> bool:
    if isinstance(content, str):
        return not content.strip()
    return not content or any(block["type"] == "text" and not block["text"].strip() for block in content)


def _waits(fault: Fault) -> Headers:
    match fault:
        case Fault.RATE_LIMITED_SECONDS:
            return (("retry-after", "3"),)
        case Fault.RATE_LIMITED_MS:
            return (("retry-after-ms", "1500"), ("retry-after", "2"))
        case Fault.RATE_LIMITED_DATE:
            return (("retry-after", formatdate(time() + 30, usegmt=True)),)
        case _:
            return ()
