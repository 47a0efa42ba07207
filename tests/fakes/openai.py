"""A fake of the OpenAI API, and of llama.cpp's server, on loopback.

    python -m tests.fakes.openai --port 9001 --fault none --repeat 1000

runs it until it is ended, for benchmarks and drills.
"""

import argparse
import asyncio
import signal
import threading
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from struct import pack
from typing import Any, ClassVar

import orjson

from tests.fakes import openai_errors
from tests.fakes.behaviour import Answer, Fault
from tests.fakes.broken import BROKEN
from tests.fakes.openai_bytes import DONE, LlamaCppBytes, OpenAIBytes, frame
from tests.fakes.openai_errors import Refusal, refusal
from tests.fakes.server import FakeModelServer, RecordedRequest, Wire

Headers = tuple[tuple[str, str], ...]

# Faults that strike when the stream has begun, after three words unless they say "before".
_BREAKS = {
    Fault.CUT_BEFORE_CONTENT,
    Fault.CUT_AFTER_CONTENT,
    Fault.RESET_AFTER_CONTENT,
    Fault.STALL,
    Fault.MALFORMED,
    Fault.ERROR_FRAME,
    Fault.ERROR_FRAME_THEN_DONE,
    Fault.CONTEXT_EXCEEDED_FRAME,
}


class FakeOpenAI(FakeModelServer):
    """`done` is the terminal frame as it is sent, `unsupported` what its models refuse to be asked for.

    With `ignores_stream` it answers in one piece whatever is asked, as some gateways do.
    """

    bytes_class: ClassVar[type[OpenAIBytes]] = OpenAIBytes
    numeric_code: ClassVar[bool] = False
    context_exceeded: ClassVar[Refusal] = openai_errors.CONTEXT_EXCEEDED
    server: ClassVar[Headers] = (("openai-version", "2020-10-01"), ("openai-processing-ms", "11"))

    def __init__(self, *, reply: Answer | None = None, api_key: str | None = None, port: int = 0) -> None:
        super().__init__(reply=reply or Answer(), port=port)
        self.api_key = api_key
        self.models: tuple[dict[str, Any], ...] = (_model("gpt-6-luna"), _model("text-embedding-3-small"))
        self.ignores_stream = False
        self.unsupported: frozenset[str] = frozenset()
        self.done = DONE

    @property
    def base_url(self) -> str:
        return f"{self.origin}/v1"

    @property
    def model_names(self) -> list[str]:
        return [model["id"] for model in self.models]

    async def answer(self, request: RecordedRequest, wire: Wire) -> None:
        fault = self.fault_of_next()
        if fault in BROKEN:
            await BROKEN[fault](wire)
        elif self.api_key and request.headers.get("authorization") != f"Bearer {self.api_key}":
            await self._refuse(openai_errors.WRONG_KEY, wire)
        elif said := self._refusal(fault):
            await self._refuse(said, wire)
        else:
            await self._route(request, wire, fault)

    async def _route(self, request: RecordedRequest, wire: Wire, fault: Fault) -> None:
        match request.method, request.path:
            case "POST", "/v1/chat/completions":
                await self._chat(request, wire, fault)
            case "POST", "/v1/embeddings":
                await self._embed(request.json(), wire, fault)
            case "GET", "/v1/models":
                await self._json(orjson.dumps({"object": "list", "data": self.models}), wire)
            case method, path:
                await self._refuse(Refusal(404, f"Invalid URL ({method} {path})"), wire)

    async def _chat(self, request: RecordedRequest, wire: Wire, fault: Fault) -> None:
        asked = request.json()
        if refused := self.unsupported & asked.keys():
            await self._refuse(openai_errors.unsupported(min(refused)), wire)
            return
        reply = self.reply
        written = self.bytes_class(reply, asked)
        if fault is Fault.SLOW_FIRST_BYTE:
            await asyncio.sleep(self.first_byte_delay_s)
        if self.ignores_stream or not asked.get("stream"):
            await self._json(written.whole(), wire)
            return
        kind = "text/event-stream" if self.numeric_code else "text/event-stream; charset=utf-8"
        headers = (("Content-Type", kind), ("Transfer-Encoding", "chunked"), *reply.headers, *self.server)
        await wire.head(200, headers)
        if fault in _BREAKS:
            await self._stream_broken(written, wire, fault)
        else:
            await self._stream(written, wire, fault)

    async def _stream(self, written: OpenAIBytes, wire: Wire, fault: Fault) -> None:
        send = {Fault.SPLIT_CHARACTER: wire.drip, Fault.COMMENTS_AND_CRLF: _with_comments(wire)}.get(fault, wire.chunk)
        for opening in written.opening():
            await send(opening)
        for content in written.content() if fault is not Fault.EMPTY else ():
            await send(content)
            if self.reply.chunk_delay_s:
                await asyncio.sleep(self.reply.chunk_delay_s)
        for ending in self._endings(written, fault):
            await send(ending)
        if fault is Fault.STALL_AFTER_END:
            await wire.until_gone()
        await wire.last_chunk()

    def _endings(self, written: OpenAIBytes, fault: Fault) -> Iterator[bytes]:
        if fault is not Fault.NO_FINISH_REASON:
            yield written.finish()
        if fault is not Fault.NO_USAGE:
            yield from written.usage()
        if fault is not Fault.NO_TERMINAL_MARKER:
            yield self.done

    async def _stream_broken(self, written: OpenAIBytes, wire: Wire, fault: Fault) -> None:
        for opening in written.opening():
            await wire.chunk(opening)
        words = 0 if fault is Fault.CUT_BEFORE_CONTENT else 3
        for _, content in zip(range(words), written.content(), strict=False):
            await wire.chunk(content)
        match fault:
            case Fault.STALL:
                await wire.until_gone()
            case Fault.CUT_BEFORE_CONTENT | Fault.CUT_AFTER_CONTENT:
                wire.close()
            case Fault.RESET_AFTER_CONTENT:
                await asyncio.sleep(0.05)  # a reset throws away what the other side has not read yet
                wire.reset()
            case Fault.MALFORMED:
                await wire.chunk(b'data: {"id":"chatcmpl-x","choices":[{"index":0,"delta":{"content":"br\n\n')
                await wire.last_chunk()
            case _:
                await self._error_frame(wire, fault)

    async def _error_frame(self, wire: Wire, fault: Fault) -> None:
        said = self.context_exceeded if fault is Fault.CONTEXT_EXCEEDED_FRAME else openai_errors.SERVER_ERROR
        await wire.chunk(frame(said.envelope(numeric_code=self.numeric_code)))
        if fault is Fault.ERROR_FRAME_THEN_DONE:
            await wire.chunk(self.done)
        await wire.last_chunk()

    async def _embed(self, asked: dict[str, Any], wire: Wire, fault: Fault) -> None:
        texts = [asked["input"]] if isinstance(asked["input"], str) else asked["input"]
        if "" in texts:
            await self._refuse(Refusal(400, "Invalid 'input': an empty string.", param="input"), wire)
            return
        encode = _base64 if asked.get("encoding_format") == "base64" else list
        items = [
            {"object": "embedding", "index": index, "embedding": encode(vector_of(text))}
            for index, text in enumerate(texts)
        ]
        if fault is Fault.VECTORS_OUT_OF_ORDER:
            items.reverse()
        if fault is Fault.VECTOR_MISSING:
            items.pop()
        counted = sum(len(text.split()) for text in texts)
        usage = {"prompt_tokens": counted, "total_tokens": counted}
        await self._json(orjson.dumps({"object": "list", "data": items, "model": asked["model"], "usage": usage}), wire)

    def _refusal(self, fault: Fault) -> Refusal | None:
        return self.context_exceeded if fault is Fault.CONTEXT_EXCEEDED else refusal(fault)

    async def _refuse(self, said: Refusal, wire: Wire) -> None:
        headers = (("Content-Type", "application/json"), *self.reply.headers, *said.headers)
        await wire.whole(said.status, said.body(numeric_code=self.numeric_code), headers)

    async def _json(self, body: bytes, wire: Wire) -> None:
        headers = (("Content-Type", "application/json"), *self.reply.headers, *self.server)
        await wire.whole(200, body, headers)


class FakeLlamaCpp(FakeOpenAI):
    """llama.cpp's server, as observed from its 2026 builds."""

    bytes_class = LlamaCppBytes
    numeric_code = True
    context_exceeded = openai_errors.LLAMA_CONTEXT_EXCEEDED
    server = (("Server", "llama.cpp"), ("Keep-Alive", "timeout=5, max=100"))

    def __init__(self, *, reply: Answer | None = None, api_key: str | None = None, port: int = 0) -> None:
        super().__init__(reply=reply or Answer(headers=()), api_key=api_key, port=port)
        self.models = (_llama_model("/models/tiny.gguf"),)


def vector_of(text: str) -> tuple[float, ...]:
    """Eight numbers that depend on the text alone, exact in 32 bits so that both encodings agree."""
    return tuple(byte / 256 for byte in sha256(text.encode()).digest()[:8])


def _base64(vector: tuple[float, ...]) -> str:
    return b64encode(pack(f"<{len(vector)}f", *vector)).decode()


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 1_795_000_000, "owned_by": "system"}


def _llama_model(name: str) -> dict[str, Any]:
    meta = {"vocab_type": 1, "n_vocab": 1200, "n_ctx": 4096, "n_ctx_train": 8192, "n_embd": 64, "size": 910_592}
    architecture = {"input_modalities": ["text", "image"], "output_modalities": ["text"]}
    created = {"created": 1_795_000_000, "owned_by": "llamacpp"}
    return (
        {"id": name, "aliases": [name], "tags": [], "object": "model", "architecture": architecture}
        | created
        | {"meta": meta}
    )


def _with_comments(wire: Wire) -> Any:
    async def send(content: bytes) -> None:
        await wire.chunk(b": ping\r\n\r\n" + content.replace(b"\n", b"\r\n"))

    return send


def main() -> None:
    parser = argparse.ArgumentParser(description="Run the fake until it is ended.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--fault", type=Fault, default=Fault.NONE)
    parser.add_argument("--repeat", type=int, default=1, help="how often the answer's five words are sent")
    parser.add_argument("--chunk-delay", type=float, default=0.0, help="seconds between chunks")
    chosen = parser.parse_args()
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    answer = Answer(repeat=chosen.repeat, chunk_delay_s=chosen.chunk_delay)
    with FakeOpenAI(reply=answer, port=chosen.port) as fake:
        fake.fault = chosen.fault
        print(fake.base_url, flush=True)
        ended.wait()


if __name__ == "__main__":
    main()
