"""The bytes of the OpenAI API and of llama.cpp's own variant of it, key by key in the order of the originals."""

import secrets
import time
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from tests.fakes.behaviour import Answer, FakeToolCall

DONE = b"data: [DONE]\n\n"


def frame(content: Any) -> bytes:
    return b"data: %b\n\n" % orjson.dumps(content)


class OpenAIBytes:
    """One answer of api.openai.com to the chat request `asked`."""

    def __init__(self, answer: Answer, asked: Mapping[str, Any]) -> None:
        options = asked.get("stream_options") or {}
        self._answer = answer
        self._model = asked.get("model", "")
        self._counts_usage = bool(options.get("include_usage"))
        self._obfuscates = options.get("include_obfuscation", True)
        self._id = f"chatcmpl-{secrets.token_urlsafe(21)}"
        self._created = int(time.time())

    def opening(self) -> list[bytes]:
        return [self._delta({"role": "assistant", "content": "", "refusal": None})]

    def content(self) -> Iterator[bytes]:
        """The chunks that carry something; words are encoded once, however often they are repeated."""
        yield from (self._delta(self._thought(thought)) for thought in self._answer.thoughts)
        words = [self._delta({"content": word}) for word in self._answer.words]
        for _ in range(self._answer.repeat):
            yield from words
        if self._answer.refusal:
            yield self._delta({"refusal": self._answer.refusal})
        for index, call in enumerate(self._answer.tool_calls):
            yield from (self._delta({"tool_calls": [piece]}) for piece in _tool_call_pieces(index, call))

    def finish(self) -> bytes:
        return self._delta({}, finish_reason=self._answer.finish_reason)

    def usage(self) -> list[bytes]:
        if not self._counts_usage:
            return []
        return [frame(self._chunk([]) | {"usage": self.usage_counts()})]

    def whole(self) -> bytes:
        """The answer to a request without `stream`."""
        calls = [_tool_call(call) for call in self._answer.tool_calls]
        message: dict[str, Any] = {"role": "assistant", "content": self._answer.text or None}
        message["refusal"] = self._answer.refusal or None
        if calls:
            message["tool_calls"] = calls
        message["annotations"] = []
        choice = {"index": 0, "message": message, "finish_reason": self._answer.finish_reason, "logprobs": None}
        return orjson.dumps(
            {
                "id": self._id,
                "object": "chat.completion",
                "created": self._created,
                "model": self._model,
                "choices": [choice],
                "usage": self.usage_counts(),
                "service_tier": "default",
                "system_fingerprint": "fp_44709d6fcb",
            }
        )

    def usage_counts(self) -> dict[str, Any]:
        taken, given, cached, reasoning = self._answer.usage
        return {
            "prompt_tokens": taken,
            "completion_tokens": given,
            "total_tokens": taken + given,
            "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": reasoning,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }

    def _thought(self, text: str) -> dict[str, Any]:
        return {"reasoning_content": text}

    def _delta(self, delta: Mapping[str, Any], *, finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
        chunk = self._chunk([choice])
        if self._obfuscates:
            chunk["obfuscation"] = "kN7wPq"
        if self._counts_usage:
            chunk["usage"] = None
        return frame(chunk)

    def _chunk(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self._id,
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": self._model,
            "choices": choices,
            "system_fingerprint": "fp_44709d6fcb",
            "service_tier": "default",
        }


class LlamaCppBytes(OpenAIBytes):
    """One answer of llama.cpp's server: other order, `content:null`, progress, timings, its own model name."""

    def __init__(self, answer: Answer, asked: Mapping[str, Any]) -> None:
        super().__init__(answer, asked)
        self._model = "/models/tiny.gguf"
        self._shows_progress = bool(asked.get("return_progress"))

    def opening(self) -> list[bytes]:
        role = self._chunk([{"finish_reason": None, "index": 0, "delta": {"role": "assistant", "content": None}}])
        if not self._shows_progress:
            return [frame(role)]
        total = self._answer.usage[0]
        steps = ({"total": total, "cache": 0, "processed": done, "time_ms": done} for done in (0, total))
        return [*(frame(role | {"prompt_progress": step}) for step in steps), frame(role)]

    def usage(self) -> list[bytes]:
        taken, given, cached, _ = self._answer.usage
        timings = {
            "cache_n": cached,
            "prompt_n": taken - cached,
            "prompt_ms": 1.368,
            "prompt_per_token_ms": 0.0804,
            "prompt_per_second": 12426.9,
            "predicted_n": given,
            "predicted_ms": 1.026,
            "predicted_per_token_ms": 0.342,
            "predicted_per_second": 2923.97,
        }
        counted = {"usage": self.usage_counts()} if self._counts_usage else {}
        return [frame(self._chunk([]) | counted | {"timings": timings})]

    def usage_counts(self) -> dict[str, Any]:
        taken, given, cached, _ = self._answer.usage
        return {
            "completion_tokens": given,
            "prompt_tokens": taken,
            "total_tokens": taken + given,
            "prompt_tokens_details": {"cached_tokens": cached},
        }

    def _delta(self, delta: Mapping[str, Any], *, finish_reason: str | None = None) -> bytes:
        return frame(self._chunk([{"finish_reason": finish_reason, "index": 0, "delta": delta}]))

    def _chunk(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "choices": choices,
            "created": self._created,
            "id": self._id,
            "model": self._model,
            "system_fingerprint": "b0-unknown",
            "object": "chat.completion.chunk",
        }


def _tool_call(call: FakeToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _tool_call_pieces(index: int, call: FakeToolCall) -> Iterator[dict[str, Any]]:
    first = {"name": call.name, "arguments": ""}
    yield {"index": index, "id": call.id, "type": "function", "function": first}
    for fragment in call.fragments:
        yield {"index": index, "function": {"arguments": fragment}}
