"""The refusals of the OpenAI API and of llama.cpp's server, status by status, in their own words."""

from dataclasses import dataclass
from email.utils import formatdate
from time import time
from typing import Any

import orjson

from tests.fakes.behaviour import Fault


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is an error; `numeric_code` is how llama.cpp fills `code`, `counts` what it adds."""

    status: int
    message: str
    type: str = "invalid_request_error"
    code: str | None = None
    param: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    counts: tuple[tuple[str, int], ...] = ()

    def body(self, *, numeric_code: bool = False) -> bytes:
        return orjson.dumps(self.envelope(numeric_code=numeric_code))

    def envelope(self, *, numeric_code: bool = False) -> dict[str, Any]:
        if numeric_code:
            return {"error": {"code": self.status, "message": self.message, "type": self.type, **dict(self.counts)}}
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}


def _rate_limited(*headers: tuple[str, str]) -> Refusal:
    message = "Rate limit reached for gpt-6-luna on requests per min (RPM): Limit 3, Used 3, Requested 1."
    return Refusal(429, message, "requests", "rate_limit_exceeded", headers=headers)


SERVER_ERROR = Refusal(500, "The server had an error while processing your request.", "server_error")
CONTEXT_EXCEEDED = Refusal(
    400,
    "This model's maximum context length is 8192 tokens. However, your messages resulted in 60015 tokens.",
    code="context_length_exceeded",
    param="messages",
)
LLAMA_CONTEXT_EXCEEDED = Refusal(
    400,
    "request (60015 tokens) exceeds the available context size (8192 tokens), try increasing it",
    "exceed_context_size_error",
    counts=(("n_prompt_tokens", 60015), ("n_ctx", 8192)),
)
WRONG_KEY = Refusal(
    401,
    "Incorrect API key provided: sk-wrong*************9f2c. You can find your API key at https://platform.openai.com.",
    code="invalid_api_key",
)
QUOTA = Refusal(
    429,
    "You exceeded your current quota, please check your plan and billing details.",
    "insufficient_quota",
    "insufficient_quota",
)
LOADING = Refusal(503, "Loading model", "unavailable_error")

REFUSALS = {
    Fault.BAD_REQUEST: Refusal(400, "Invalid value for 'messages': expected an array.", param="messages"),
    Fault.CONTEXT_EXCEEDED: CONTEXT_EXCEEDED,
    Fault.PARAMETER_REJECTED: Refusal(
        400,
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        code="unsupported_parameter",
        param="max_tokens",
    ),
    Fault.UNAUTHORISED: WRONG_KEY,
    Fault.QUOTA_402: Refusal(402, "Insufficient credits. Add more to continue.", "billing_error"),
    Fault.FORBIDDEN: Refusal(403, "Country, region, or territory not supported", "request_forbidden"),
    Fault.MODEL_MISSING: Refusal(
        404, "The model `gpt-nope` does not exist or you do not have access to it.", code="model_not_found"
    ),
    Fault.PATH_MISSING: Refusal(404, "Invalid URL (POST /v1/chat/completions)"),
    Fault.REQUEST_TIMEOUT: Refusal(408, "The request timed out.", "server_error"),
    Fault.CONFLICT: Refusal(409, "The resource was updated by another request.", "conflict_error"),
    Fault.TOO_LARGE: Refusal(413, "Request body is too large."),
    Fault.UNPROCESSABLE: Refusal(422, "The request could not be processed: invalid schema."),
    Fault.RATE_LIMITED: _rate_limited(),
    Fault.RATE_LIMITED_SECONDS: _rate_limited(("Retry-After", "3")),
    Fault.RATE_LIMITED_MS: _rate_limited(("retry-after-ms", "1500"), ("Retry-After", "2")),
    Fault.QUOTA: QUOTA,
    Fault.SERVER_ERROR: SERVER_ERROR,
    Fault.MODEL_CRASHED: Refusal(500, "could not load model: rpc error: code = Unknown", "server_error"),
    Fault.UNAVAILABLE: Refusal(503, "The engine is currently unavailable.", "server_error"),
    Fault.LOADING: LOADING,
    Fault.BUSY: Refusal(503, "per-model concurrency limit reached", "server_error", headers=(("Retry-After", "1"),)),
    Fault.GATEWAY_TIMEOUT: Refusal(504, "The upstream did not answer in time.", "server_error"),
    Fault.OVERLOADED: Refusal(529, "Overloaded", "overloaded_error"),
}


def unsupported(parameter: str) -> Refusal:
    message = f"Unsupported parameter: '{parameter}' is not supported with this model."
    return Refusal(400, message, code="unsupported_parameter", param=parameter)


def refusal(fault: Fault) -> Refusal | None:
    if fault is Fault.RATE_LIMITED_DATE:
        return _rate_limited(("Retry-After", formatdate(time() + 30, usegmt=True)))
    return REFUSALS.get(fault)
