"""A fake of LocalAI on loopback: the OpenAI form with LocalAI's own frames, refusals and health."""

from collections.abc import Mapping
from typing import Any

import orjson

from tests.fakes.behaviour import Answer, Fault
from tests.fakes.openai import FakeOpenAI
from tests.fakes.openai_bytes import OpenAIBytes, frame
from tests.fakes.openai_errors import Refusal
from tests.fakes.server import RecordedRequest, Wire

_JSON = (("Content-Type", "application/json"),)
CONTEXT_EXCEEDED = Refusal(
    500,
    "rpc error: code = Unknown desc = request (60015 tokens) exceeds the available context size (8192 tokens)",
    type="",
)
REFUSALS: Mapping[Fault, Refusal] = {
    Fault.BAD_REQUEST: Refusal(400, "Bad Request", type=""),
    Fault.CONTEXT_EXCEEDED: CONTEXT_EXCEEDED,
    Fault.UNAUTHORISED: Refusal(401, "An API key is required", type="", headers=(("WWW-Authenticate", "Bearer"),)),
    Fault.FORBIDDEN: Refusal(403, "Admin role required", type=""),
    Fault.PATH_MISSING: Refusal(404, "Resource not found", type=""),
    Fault.TOO_LARGE: Refusal(413, "Request Entity Too Large", type=""),
    Fault.SERVER_ERROR: Refusal(500, "grpc service not ready", type=""),
    Fault.MODEL_CRASHED: Refusal(500, "could not load model: rpc error: code = Canceled desc =", type=""),
    Fault.UNAVAILABLE: Refusal(503, "model failed recently, cooling down", type="", headers=(("Retry-After", "10"),)),
    Fault.BUSY: Refusal(503, "per-model concurrency limit reached", type="", headers=(("Retry-After", "1"),)),
}
LACKS = frozenset(
    {
        Fault.PARAMETER_REJECTED,
        Fault.QUOTA_402,
        Fault.QUOTA,
        Fault.MODEL_MISSING,  # an unknown model is a plain "Bad Request"
        Fault.REQUEST_TIMEOUT,
        Fault.CONFLICT,
        Fault.UNPROCESSABLE,
        Fault.RATE_LIMITED,
        Fault.RATE_LIMITED_SECONDS,
        Fault.RATE_LIMITED_DATE,
        Fault.RATE_LIMITED_MS,
        Fault.GATEWAY_TIMEOUT,
        Fault.OVERLOADED,
        Fault.ERROR_FRAME,  # it always says [DONE] after it
    }
)


class LocalAIBytes(OpenAIBytes):
    """One answer: no fingerprint, no tier, and a chunk says no more than it has to."""

    def opening(self) -> list[bytes]:
        return [self._delta({"role": "assistant"})]

    def usage_counts(self) -> dict[str, Any]:
        taken, given, _, _ = self._answer.usage
        return {"prompt_tokens": taken, "completion_tokens": given, "total_tokens": taken + given}

    def _thought(self, text: str) -> dict[str, Any]:
        return {"reasoning": text}

    def _delta(self, delta: Mapping[str, Any], *, finish_reason: str | None = None) -> bytes:
        return frame(self._chunk([{"index": 0, "finish_reason": finish_reason, "delta": delta}]))

    def _chunk(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "created": self._created,
            "object": "chat.completion.chunk",
            "id": self._id,
            "model": self._model,
            "choices": choices,
        }


VERSION = "v4.1.0 (3f8a9c2)"


class FakeLocalAI(FakeOpenAI):
    """With `is_starting` it answers /readyz as while it loads its first models."""

    bytes_class = LocalAIBytes
    numeric_code = True
    context_exceeded = CONTEXT_EXCEEDED
    server = (("Cache-Control", "no-cache"),)

    def __init__(self, *, reply: Answer | None = None, api_key: str | None = None, port: int = 0) -> None:
        correlated = Answer(headers=(("X-Correlation-ID", "8f0c5a51-7a3e-4f0e-9d5a-0c6f6f1f2b11"),))
        super().__init__(reply=reply or correlated, api_key=api_key, port=port)
        self.models = ({"id": "llama3", "object": "model"}, {"id": "bert-embeddings", "object": "model"})
        self.is_starting = False

    async def _route(self, request: RecordedRequest, wire: Wire, fault: Fault) -> None:
        match request.method, request.path:
            case "GET", "/readyz" if self.is_starting:
                said = {"status": "starting", "reason": "startup preload in progress"}
                await wire.whole(503, orjson.dumps(said), _JSON)
            case "GET", "/readyz":
                await wire.whole(200, b"", ())
            case "GET", "/version":
                await wire.whole(200, orjson.dumps({"version": VERSION}), _JSON)
            case _:
                await super()._route(request, wire, fault)

    def _refusal(self, fault: Fault) -> Refusal | None:
        return REFUSALS.get(fault)

    async def answer(self, request: RecordedRequest, wire: Wire) -> None:
        if self._fault is Fault.LOADING and request.path == "/v1/chat/completions":
            error = {"code": "model_loading", "message": "model llama3 is still loading", "type": "model_loading"}
            said = {"error": error, "loading": {"model": "llama3", "progress": 42.5}}
            await wire.whole(503, orjson.dumps(said), (*_JSON, ("Retry-After", "5")))
        else:
            await super().answer(request, wire)
