"""A fake of Ollama's native API on loopback, key by key in the order of the original."""

import asyncio
import secrets
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from tests.fakes.behaviour import Answer, FakeToolCall, Fault
from tests.fakes.broken import BROKEN
from tests.fakes.openai import vector_of
from tests.fakes.server import FakeModelServer, RecordedRequest, Wire

Headers = tuple[tuple[str, str], ...]

VERSION = "0.32.15"
_CONTEXT_EXCEEDED = "the input length exceeds the context length"
_SERVER_ERROR = "an error was encountered while running the model: unexpected EOF"

# By fault: status and text. There are no codes; a client goes by the two.
REFUSALS: Mapping[Fault, tuple[int, str]] = {
    Fault.BAD_REQUEST: (400, '"gemma3:1b" does not support tools'),
    Fault.CONTEXT_EXCEEDED: (400, _CONTEXT_EXCEEDED),
    Fault.UNAUTHORISED: (401, "unauthorized"),
    Fault.MODEL_MISSING: (404, "model 'nope' not found"),
    Fault.RATE_LIMITED: (429, "too many requests"),  # of the vendor, through a cloud model
    Fault.SERVER_ERROR: (500, _SERVER_ERROR),
    Fault.MODEL_CRASHED: (500, "llama runner process has terminated: exit status 2"),
    Fault.BUSY: (503, "server busy, please try again.  maximum pending requests exceeded"),
}
LACKS = frozenset(
    {
        Fault.PARAMETER_REJECTED,
        Fault.QUOTA_402,
        Fault.QUOTA,
        Fault.REQUEST_TIMEOUT,
        Fault.CONFLICT,
        Fault.TOO_LARGE,
        Fault.UNPROCESSABLE,
        Fault.RATE_LIMITED_SECONDS,
        Fault.RATE_LIMITED_DATE,
        Fault.RATE_LIMITED_MS,
        Fault.UNAVAILABLE,
        Fault.LOADING,
        Fault.GATEWAY_TIMEOUT,
        Fault.OVERLOADED,
        Fault.ERROR_FRAME_THEN_DONE,
        Fault.COMMENTS_AND_CRLF,
        Fault.VECTORS_OUT_OF_ORDER,
        Fault.NO_FINISH_REASON,  # it may leave `done_reason` out of an answer that is complete
    }
)
_BREAKS = {
    Fault.CUT_BEFORE_CONTENT,
    Fault.CUT_AFTER_CONTENT,
    Fault.RESET_AFTER_CONTENT,
    Fault.STALL,
    Fault.MALFORMED,
    Fault.ERROR_FRAME,
    Fault.CONTEXT_EXCEEDED_FRAME,
}


class FakeOllama(FakeModelServer):
    """`loaded` are the names that /api/ps tells; `shows` is what /api/show knows by name.

    A model that is not loaded is loaded by the first question, which takes `load_s` seconds; /api/ps tells of it at
    once, as the original does.
    """

    def __init__(self, *, reply: Answer | None = None, api_key: str | None = None, port: int = 0) -> None:
        super().__init__(reply=reply or Answer(), port=port)
        self.api_key = api_key
        self.models: tuple[dict[str, Any], ...] = (model("gemma3:1b"), model("nomic-embed-text:latest"))
        self.loaded: tuple[str, ...] = ()
        self.load_s = 0.0
        self.shows: dict[str, dict[str, Any]] = {
            "gemma3:1b": details("completion", "vision", context=32_768),
            "nomic-embed-text:latest": details("embedding", context=2_048, architecture="nomic-bert"),
        }

    @property
    def model_names(self) -> list[str]:
        return [model["name"] for model in self.models]

    async def answer(self, request: RecordedRequest, wire: Wire) -> None:
        fault = self.fault_of_next()
        if fault in BROKEN:
            await BROKEN[fault](wire)
        elif self.api_key and request.headers.get("authorization") != f"Bearer {self.api_key}":
            await self._error(401, "unauthorized", wire)
        elif fault is Fault.FORBIDDEN:  # its check of the Host header says nothing at all
            await wire.whole(403, b"", ())
        elif fault is Fault.PATH_MISSING:
            await self._no_such_path(wire)
        elif fault in REFUSALS:
            await self._error(*REFUSALS[fault], wire)
        else:
            await self._route(request, wire, fault)

    async def _route(self, request: RecordedRequest, wire: Wire, fault: Fault) -> None:
        match request.method, request.path:
            case "POST", "/api/chat":
                await self._chat(request.json(), wire, fault)
            case "POST", "/api/embed":
                await self._embed(request.json(), wire, fault)
            case "POST", "/api/show":
                await self._show(request.json().get("model", ""), wire)
            case "GET", "/api/tags":
                await self._json({"models": self.models}, wire)
            case "GET", "/api/ps":
                await self._json({"models": [self._running(name) for name in self.loaded]}, wire)
            case "GET", "/api/version":
                await self._json({"version": VERSION}, wire)
            case "GET", "/":
                await wire.whole(200, b"Ollama is running", (("Content-Type", "text/plain; charset=utf-8"),))
            case _:
                await self._no_such_path(wire)

    async def _chat(self, asked: dict[str, Any], wire: Wire, fault: Fault) -> None:
        name = asked.get("model", "")
        if not asked.get("messages"):
            self.loaded = (*self.loaded, name)
            await self._json(_line(name, {"role": "assistant", "content": ""}) | _done("load"), wire)
            return
        if name not in self.loaded:
            self.loaded = (*self.loaded, name)
            await asyncio.sleep(self.load_s)
        if fault is Fault.SLOW_FIRST_BYTE:
            await asyncio.sleep(self.first_byte_delay_s)
        if not asked.get("stream", True):
            await self._json(self._whole(name), wire)
            return
        await wire.head(200, (("Content-Type", "application/x-ndjson"), ("Transfer-Encoding", "chunked")))
        if fault in _BREAKS:
            await self._stream_broken(name, wire, fault)
        else:
            await self._stream(name, wire, fault)

    async def _stream(self, name: str, wire: Wire, fault: Fault) -> None:
        send = wire.drip if fault is Fault.SPLIT_CHARACTER else wire.chunk
        for message in self._messages() if fault is not Fault.EMPTY else ():
            await send(ndjson(_line(name, message)))
            if self.reply.chunk_delay_s:
                await asyncio.sleep(self.reply.chunk_delay_s)
        if fault is not Fault.NO_TERMINAL_MARKER:
            await send(ndjson(self._last(name, counts_usage=fault is not Fault.NO_USAGE)))
        if fault is Fault.STALL_AFTER_END:
            await wire.until_gone()
        await wire.last_chunk()

    async def _stream_broken(self, name: str, wire: Wire, fault: Fault) -> None:
        words = 0 if fault is Fault.CUT_BEFORE_CONTENT else 3
        for _, message in zip(range(words), self._messages(), strict=False):
            await wire.chunk(ndjson(_line(name, message)))
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
                await wire.chunk(b'{"model":"gemma3:1b","message":{"role":"assistant","content":"br\n')
            case Fault.CONTEXT_EXCEEDED_FRAME:
                await wire.chunk(ndjson({"error": _CONTEXT_EXCEEDED}))
            case _:
                await wire.chunk(ndjson({"error": _SERVER_ERROR}))
        await wire.last_chunk()

    def _messages(self) -> Iterator[dict[str, Any]]:
        for thought in self.reply.thoughts:
            yield {"role": "assistant", "content": "", "thinking": thought}
        for _ in range(self.reply.repeat):
            yield from ({"role": "assistant", "content": word} for word in self.reply.words)
        if self.reply.tool_calls:
            calls = [_tool_call(index, call) for index, call in enumerate(self.reply.tool_calls)]
            yield {"role": "assistant", "content": "", "tool_calls": calls}

    def _whole(self, name: str) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": self.reply.text}
        if self.reply.thoughts:
            message["thinking"] = "".join(self.reply.thoughts)
        if self.reply.tool_calls:
            message["tool_calls"] = [_tool_call(index, call) for index, call in enumerate(self.reply.tool_calls)]
        return self._last(name, counts_usage=True) | {"message": message}

    def _last(self, name: str, *, counts_usage: bool) -> dict[str, Any]:
        taken, given, _, _ = self.reply.usage
        reason = "length" if self.reply.finish_reason == "length" else "stop"
        counts = {"prompt_eval_count": taken, "eval_count": given} if counts_usage else {}
        durations = {"total_duration": 182_242_375, "load_duration": 41_295_167, "eval_duration": 115_959_084}
        return _line(name, {"role": "assistant", "content": ""}) | _done(reason) | durations | counts

    async def _embed(self, asked: dict[str, Any], wire: Wire, fault: Fault) -> None:
        texts = [asked["input"]] if isinstance(asked["input"], str) else asked["input"]
        vectors = [vector_of(text) for text in texts]
        if fault is Fault.VECTOR_MISSING:
            vectors.pop()
        counts = {} if fault is Fault.NO_USAGE else {"prompt_eval_count": sum(len(text.split()) for text in texts)}
        durations = {"total_duration": 14_143_917, "load_duration": 1_019_500}
        await self._json({"model": asked["model"], "embeddings": vectors, **durations, **counts}, wire)

    async def _show(self, name: str, wire: Wire) -> None:
        if name in self.shows:
            await self._json(self.shows[name], wire)
        else:
            await self._error(404, f"model '{name}' not found", wire)

    def _running(self, name: str) -> dict[str, Any]:
        listed = model(name)
        del listed["modified_at"]
        return listed | {"expires_at": "2026-11-24T10:05:00.1Z", "size_vram": listed["size"], "context_length": 4096}

    async def _no_such_path(self, wire: Wire) -> None:
        await wire.whole(404, b"404 page not found", (("Content-Type", "text/plain"),))

    async def _error(self, status: int, text: str, wire: Wire) -> None:
        said = {"error": text} | ({"signin_url": "https://ollama.com/connect"} if status == 401 else {})
        await wire.whole(status, orjson.dumps(said), _JSON)

    async def _json(self, content: Any, wire: Wire) -> None:
        await wire.whole(200, orjson.dumps(content), _JSON)


_JSON: Headers = (("Content-Type", "application/json; charset=utf-8"),)


def ndjson(content: Any) -> bytes:
    return orjson.dumps(content) + b"\n"


def model(name: str, **more: Any) -> dict[str, Any]:
    """An entry of /api/tags."""
    return {
        "name": name,
        "model": name,
        "modified_at": "2026-08-21T10:00:00.123456789Z",
        "size": 815_319_791,
        "digest": secrets.token_hex(32),
        "details": {
            "parent_model": "",
            "format": "gguf",
            "family": "gemma3",
            "families": None,
            "parameter_size": "999.89M",
            "quantization_level": "Q4_K_M",
        },
        **more,
    }


def details(*capabilities: str, context: int, architecture: str = "gemma3") -> dict[str, Any]:
    """What /api/show tells of a model."""
    return {
        "license": "",
        "modelfile": "# Modelfile",
        "parameters": "temperature 1",
        "template": "{{ .Prompt }}",
        "details": model("x")["details"],
        "model_info": {"general.architecture": architecture, f"{architecture}.context_length": context},
        "capabilities": list(capabilities),
        "modified_at": "2026-08-21T10:00:00.123456789Z",
    }


def _line(name: str, message: Mapping[str, Any]) -> dict[str, Any]:
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {"model": name, "created_at": at, "message": message, "done": False}


def _done(reason: str) -> dict[str, Any]:
    return {"done": True, "done_reason": reason}


def _tool_call(index: int, call: FakeToolCall) -> dict[str, Any]:
    """Older versions give no id."""
    function = {"index": index, "name": call.name, "arguments": orjson.loads(call.arguments or "{}")}
    return {"id": call.id, "function": function} if call.id else {"function": function}
