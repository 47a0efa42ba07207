"""What an HTTP answer, an error inside a stream or a broken connection means, as one of our events.

Shared by every adapter that speaks HTTP. Providers agree on few codes, so the words of a complaint are read, too, but
only together with a status that fits: "loading" in a 400 says nothing about a model.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import aiohttp
import httpx
import orjson

from architect.lib.redaction import redacted
from architect.lib.storable import storable
from llm_providers.adapters.foreign import count_of
from llm_providers.adapters.retry_after import wait_asked_for
from llm_providers.errors import Event, ProviderFailure

DETAIL_LIMIT = 2048


@dataclass(frozen=True, slots=True)
class Complaint:
    """What a provider says is wrong; the fields that it leaves out are empty."""

    message: str
    type: str = ""
    code: str = ""
    param: str = ""
    n_ctx: int | None = None
    is_json: bool = True

    @property
    def sentence(self) -> str:
        """The message, and the parameter where the message does not name it."""
        return self.message if self.param in self.message else f"{self.message} ({self.param})"

    @property
    def context_limit(self) -> int | None:
        """The longest context in tokens, which llama.cpp states in a field and others in their sentence."""
        match = _CONTEXT_LIMIT.search(self.message)
        return self.n_ctx or (int(match[1]) if match else None)

    @property
    def is_html(self) -> bool:
        return not self.is_json and self.message.lstrip()[:1] == "<"


class _Wording(NamedTuple):
    pattern: re.Pattern[str]
    event: Event
    statuses: range


def _wording(pattern: str, event: Event, statuses: range) -> _Wording:
    return _Wording(re.compile(pattern, re.IGNORECASE), event, statuses)


_ANY, _CLIENT, _SERVER, _ONLY_503 = range(200, 600), range(400, 500), range(500, 600), range(503, 504)

_BY_NAME = {
    "exceed_context_size_error": Event.CONTEXT_LENGTH,
    "context_length_exceeded": Event.CONTEXT_LENGTH,
    "insufficient_quota": Event.QUOTA,
    "billing_error": Event.QUOTA,
    "billing_hard_limit_reached": Event.QUOTA,
    "billing_not_active": Event.QUOTA,
    "model_loading": Event.LOADING,
    "overloaded_error": Event.OVERLOADED,
    "rate_limit_error": Event.RATE_LIMITED,
    "rate_limit_exceeded": Event.RATE_LIMITED,
    "model_not_found": Event.MODEL_MISSING,
    "invalid_api_key": Event.UNAUTHORISED,
    "authentication_error": Event.UNAUTHORISED,
}

_BY_WORDING = (
    _wording(r"maximum context length|exceeds? the (available |model'?s? )?context", Event.CONTEXT_LENGTH, _ANY),
    _wording(r"prompt is too long|context (length|size|window) exceeded", Event.CONTEXT_LENGTH, _ANY),
    # llama.cpp, for a text to embed that is longer than its batch
    _wording(r"tokens\) is too large to process", Event.CONTEXT_LENGTH, _ANY),
    _wording(r"(could not|failed to|unable to) load (the )?model|out of memory", Event.MODEL_CRASHED, _SERVER),
    _wording(r"runner process (has )?terminated|runner has unexpectedly stopped", Event.MODEL_CRASHED, _SERVER),
    _wording(
        r"loading model|model is (still |currently )?loading|(is|still) starting|startup preload",
        Event.LOADING,
        _ONLY_503,
    ),
    _wording(r"maximum pending requests|concurren(t|cy)|queue is full|no slots? available", Event.BUSY, _ONLY_503),
    _wording(r"credit balance|insufficient (credit|balance)|(credit|spend(ing)?|usage) limit", Event.QUOTA, _CLIENT),
)

_BY_STATUS = {
    400: Event.BAD_REQUEST,
    401: Event.UNAUTHORISED,
    402: Event.QUOTA,
    403: Event.UNAUTHORISED,
    404: Event.MISCONFIGURED,
    405: Event.MISCONFIGURED,
    408: Event.REQUEST_TIMEOUT,
    409: Event.CONFLICT,
    410: Event.MISCONFIGURED,
    413: Event.BAD_REQUEST,
    415: Event.BAD_REQUEST,
    422: Event.BAD_REQUEST,
    429: Event.RATE_LIMITED,
    500: Event.SERVER_ERROR,
    501: Event.SERVER_ERROR,
    502: Event.SERVER_ERROR,
    503: Event.UNAVAILABLE,
    504: Event.SERVER_ERROR,
    529: Event.OVERLOADED,
}

_CONTEXT_LIMIT = re.compile(
    r"(?:context (?:length|size|window)(?: is(?: only)?| of)?:? \(?|batch size: |tokens > )(\d{1,9})\b", re.IGNORECASE
)
_OPTIONAL_PARAMETER = re.compile(r"\b(stream_options|max_completion_tokens|max_tokens|temperature)\b")
_UNKNOWN = re.compile(
    r"un(supported|known|recogni[sz]ed|expected)|not (be )?(support|permit|allow)|deprecated", re.IGNORECASE
)
_NOT_AN_HTTP_SERVER = (
    aiohttp.ClientResponseError,
    aiohttp.InvalidURL,
    aiohttp.NonHttpUrlClientError,
    httpx.InvalidURL,
    httpx.UnsupportedProtocol,
)
# The words of these name a host or an address; those of a parser quote the bytes that it could not read.
_SPEAKS_OF_ADDRESSES = (OSError, aiohttp.InvalidURL, httpx.InvalidURL, httpx.UnsupportedProtocol)
_MEDIA_TYPE = re.compile(r"[\w.+-]{1,60}/[\w.+-]{1,60}")
_ABOUT_A_MODEL = re.compile(r"\bmodel\b", re.IGNORECASE)


def failure_of_answer(*, status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> ProviderFailure:
    """What an answer that is not the one we asked for means; `body` may be cut off anywhere."""
    complaint = complaint_in(body, status=status)
    silence = f"HTTP {status} without a complaint: {len(body)} bytes of {media_type(headers)}"
    event = _event_of_answer(status, complaint)
    return ProviderFailure(
        event,
        readable(complaint.sentence) or silence,
        http_status=status,
        retry_after_s=wait_asked_for(headers, now=now),
        context_limit=_context_limit(event, complaint),
    )


def failure_in_stream(error: Any) -> ProviderFailure:
    """What the error means that a provider sent inside an answer that it had begun with status 200."""
    complaint = complaint_of(error)
    status = int(complaint.code) if complaint.code.isdecimal() else 500
    event = _by_name(complaint) or _by_wording(status, complaint) or Event.ERROR_FRAME
    return ProviderFailure(
        event,
        readable(complaint.message) or "an error without a word",
        http_status=200,
        context_limit=_context_limit(event, complaint),
    )


def failure_of_transport(error: Exception, *, answered: bool) -> ProviderFailure:
    """What a broken exchange means; `answered` once the status line had come.

    httpx-aiohttp calls nearly everything a `ConnectTimeout`, so the exception of aiohttp below it decides.
    """
    cause = error.__cause__ if isinstance(error, httpx.HTTPError) and error.__cause__ else error
    event = _event_once_answered(cause) if answered else _event_before_answer(cause)
    name = type(cause).__name__
    return ProviderFailure(event, readable(f"{name}: {cause}") if isinstance(cause, _SPEAKS_OF_ADDRESSES) else name)


def malformed(what: str, piece: bytes | None = None, error: Exception | None = None) -> ProviderFailure:
    """A 200 that can't be read. Of `piece`, the part in question, only the shape is kept: it may be a private answer.

    `error` is what reading it raised.
    """
    shape = "" if piece is None else f": {len(piece)} bytes, {_flaw(error)}"
    return ProviderFailure(Event.MALFORMED, f"{what}{shape}", http_status=200)


def rejected_parameter(failure: ProviderFailure) -> str | None:
    """The optional parameter that a `PARAMETER_REJECTED` names."""
    match = _OPTIONAL_PARAMETER.search(failure.detail)
    return match[1] if match and failure.event is Event.PARAMETER_REJECTED else None


def readable(text: str) -> str:
    """A provider's words as they may be stored: without secrets, at most 2 KB."""
    return redacted(storable(text).strip(), limit=DETAIL_LIMIT)


def media_type(headers: Mapping[str, str]) -> str:
    """The content type without its parameters; what is none is not repeated."""
    match = _MEDIA_TYPE.match(headers.get("content-type", ""))
    return match[0] if match else "no content type"


def complaint_in(body: bytes, *, status: int) -> Complaint:
    """Below 400 only what calls itself an error is a complaint: all else may be an answer, which is not kept."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return Complaint(body.decode(errors="replace") if status >= 400 else "", is_json=False)
    if status < 400 and not (isinstance(parsed, dict) and parsed.get("error")):
        return Complaint("")
    return complaint_of(parsed)


def complaint_of(parsed: Any) -> Complaint:
    """Reads `{"error": {...}}`, `{"error": "..."}`, FastAPI's `{"detail": ...}` and the bare inner object."""
    said = parsed.get("error") or parsed if isinstance(parsed, dict) else parsed
    if not isinstance(said, dict):
        return Complaint(_text(said))
    message = said.get("message") or said.get("detail") or said.get("reason") or ""
    kind, code, param = (_text(said.get(name)) for name in ("type", "code", "param"))
    return Complaint(_text(message), type=kind, code=code, param=param, n_ctx=count_of(said.get("n_ctx")))


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _flaw(error: Exception | None) -> str:
    """Where reading stopped; the words of any other error may quote what was read."""
    if isinstance(error, orjson.JSONDecodeError):
        return f"unreadable from character {error.pos} on"
    return "JSON of another shape"


def _context_limit(event: Event, complaint: Complaint) -> int | None:
    return complaint.context_limit if event is Event.CONTEXT_LENGTH else None


def _event_once_answered(cause: BaseException) -> Event:
    return Event.MALFORMED if isinstance(cause, httpx.DecodingError) else Event.CUT


def _event_before_answer(cause: BaseException) -> Event:
    if isinstance(cause, _NOT_AN_HTTP_SERVER):
        return Event.MISCONFIGURED
    # aiohttp's own time-out, or ETIMEDOUT of the operating system inside its connector's error
    if isinstance(cause, TimeoutError) or isinstance(getattr(cause, "os_error", None), TimeoutError):
        return Event.CONNECT_TIMEOUT
    return Event.REFUSED


def _event_of_answer(status: int, complaint: Complaint) -> Event:
    if complaint.is_html:
        return _event_of_page(status)
    named = _by_name(complaint) or _by_wording(status, complaint)
    if named is not None:
        return named
    if status == 404 and complaint.is_json and _ABOUT_A_MODEL.search(complaint.message):
        return Event.MODEL_MISSING
    if status in (400, 422) and _rejects_a_parameter(complaint):
        return Event.PARAMETER_REJECTED
    return _event_of_status(status)


def _event_of_page(status: int) -> Event:
    """A web page comes from something in front of the model, so it says nothing about the model."""
    if status >= 500 and status != 529:
        return Event.UNAVAILABLE
    return _event_of_status(status)


def _event_of_status(status: int) -> Event:
    if status < 400:  # a redirect, which is never followed, or a 200 that is none
        return Event.MISCONFIGURED
    return _BY_STATUS.get(status, Event.UNCLASSIFIED)


def _by_name(complaint: Complaint) -> Event | None:
    return _BY_NAME.get(complaint.code) or _BY_NAME.get(complaint.type)


def _by_wording(status: int, complaint: Complaint) -> Event | None:
    for wording in _BY_WORDING:
        if status in wording.statuses and wording.pattern.search(complaint.message):
            return wording.event
    return None


def _rejects_a_parameter(complaint: Complaint) -> bool:
    """A value out of bounds is the caller's mistake; only a parameter that isn't known at all may be left out."""
    said = f"{complaint.code} {complaint.param} {complaint.message}"
    return _OPTIONAL_PARAMETER.search(said) is not None and _UNKNOWN.search(said) is not None
