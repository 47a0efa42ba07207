"""What answers, error frames and broken connections mean, without any network."""

from datetime import UTC, datetime
from typing import Any

import aiohttp
import httpx
import orjson
import pytest
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.http_exceptions import BadStatusLine

from llm_providers.adapters.failures import (
    failure_in_stream,
    failure_of_answer,
    failure_of_transport,
    malformed,
    rejected_parameter,
)
from llm_providers.errors import Event, ProviderFailure

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
HOST = ConnectionKey("llm.example", 80, False, True, None, None, None)


def of(status: int, body: Any = b"", **headers: str) -> ProviderFailure:
    sent = body if isinstance(body, bytes) else orjson.dumps(body)
    return failure_of_answer(status=status, headers=headers, body=sent, now=NOW)


def error(message: str = "", **fields: Any) -> dict[str, Any]:
    return {"error": {"message": message, **fields}}


@pytest.mark.parametrize(
    ("status", "event"),
    [
        (301, Event.MISCONFIGURED),
        (400, Event.BAD_REQUEST),
        (401, Event.UNAUTHORISED),
        (402, Event.QUOTA),
        (403, Event.UNAUTHORISED),
        (404, Event.MISCONFIGURED),
        (405, Event.MISCONFIGURED),
        (408, Event.REQUEST_TIMEOUT),
        (409, Event.CONFLICT),
        (413, Event.BAD_REQUEST),
        (418, Event.UNCLASSIFIED),
        (422, Event.BAD_REQUEST),
        (429, Event.RATE_LIMITED),
        (500, Event.SERVER_ERROR),
        (502, Event.SERVER_ERROR),
        (503, Event.UNAVAILABLE),
        (504, Event.SERVER_ERROR),
        (529, Event.OVERLOADED),
        (599, Event.UNCLASSIFIED),
    ],
)
def test_it_reads_a_bare_status(status: int, event: Event) -> None:
    failure = of(status)

    assert (failure.event, failure.http_status) == (event, status)


@pytest.mark.parametrize(
    ("status", "body", "event"),
    [
        (500, error("too long", type="exceed_context_size_error", code=500), Event.CONTEXT_LENGTH),
        (400, error("too long", code="context_length_exceeded"), Event.CONTEXT_LENGTH),
        (413, error("prompt is too long: 210000 tokens > 200000 maximum"), Event.CONTEXT_LENGTH),
        (500, error("input (60002 tokens) is too large to process. increase the physical"), Event.CONTEXT_LENGTH),
        (429, error("You exceeded", type="insufficient_quota", code="insufficient_quota"), Event.QUOTA),
        (400, error("Your credit balance is too low to access the API."), Event.QUOTA),
        (400, error("You have reached your specified API usage limits."), Event.QUOTA),
        (403, error("You have reached your spend limit."), Event.QUOTA),
        (503, error("Loading model", type="unavailable_error", code=503), Event.LOADING),
        (503, error("model llama3 is still loading", type="model_loading", code="model_loading"), Event.LOADING),
        (503, {"status": "starting", "reason": "the backend is still starting"}, Event.LOADING),
        (503, {"error": "server busy, please try again.  maximum pending requests exceeded"}, Event.BUSY),
        (503, error("global concurrency limit reached"), Event.BUSY),
        (500, error("could not load model: rpc error", type=""), Event.MODEL_CRASHED),
        (500, error("CUDA error: out of memory"), Event.MODEL_CRASHED),
        (500, {"error": "llama runner process has terminated: exit status 2"}, Event.MODEL_CRASHED),
        (404, error("The model `x` does not exist", code="model_not_found"), Event.MODEL_MISSING),
        (404, {"error": 'model "llama9" not found, try pulling it first'}, Event.MODEL_MISSING),
        (404, error("File Not Found", type="not_found_error", code=404), Event.MISCONFIGURED),
        (404, b"404 page not found", Event.MISCONFIGURED),
        (404, b"<html>no model here</html>", Event.MISCONFIGURED),
        (500, b"<html>nginx</html>", Event.UNAVAILABLE),
        (521, b" \n<!DOCTYPE html>", Event.UNAVAILABLE),
        (200, error("Unexpected endpoint"), Event.MISCONFIGURED),
        (200, error("busy", type="overloaded_error"), Event.OVERLOADED),
        (400, error("loading model"), Event.BAD_REQUEST),
        (400, error("out of memory"), Event.BAD_REQUEST),
    ],
)
def test_it_reads_names_and_words_of_a_complaint(status: int, body: Any, event: Event) -> None:
    assert of(status, body).event is event


@pytest.mark.parametrize(
    ("status", "body", "name"),
    [
        (400, error("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."), "max_tokens"),
        (400, error("Unsupported value: 'temperature' does not support 0.2", code="unsupported_value"), "temperature"),
        (400, error("Unknown field", param="stream_options"), "stream_options"),
        (
            422,
            {"detail": [{"loc": ["body", "stream_options"], "msg": "Extra inputs are not permitted"}]},
            "stream_options",
        ),
    ],
)
def test_it_names_the_parameter_that_is_not_known(status: int, body: Any, name: str) -> None:
    failure = of(status, body)

    assert failure.event is Event.PARAMETER_REJECTED
    assert rejected_parameter(failure) == name


@pytest.mark.parametrize(
    "body",
    [
        error("max_tokens is too large: 99999. This model supports at most 4096.", param="max_tokens"),
        error("temperature must be between 0 and 2", param="temperature", code="invalid_value"),
        error("Unknown role 'robot'", param="messages"),
    ],
)
def test_it_leaves_a_senseless_value_with_the_caller(body: Any) -> None:
    failure = of(400, body)

    assert failure.event is Event.BAD_REQUEST
    assert rejected_parameter(failure) is None


@pytest.mark.parametrize(
    ("body", "limit"),
    [
        (error("This model's maximum context length is 8192 tokens. However, you requested 9000 tokens."), 8192),
        (error("maximum context length is 4096", code="context_length_exceeded"), 4096),
        (error("too long", type="exceed_context_size_error", n_prompt_tokens=60015, n_ctx=2048), 2048),
        (error("request (9 tokens) exceeds the available context size (1024 tokens), try increasing it"), 1024),
        (error("prompt is too long: 210000 tokens > 200000 maximum"), 200_000),
        (error("input (602 tokens) is too large to process. increase the batch (current batch size: 512)"), 512),
        (error("too long", code="context_length_exceeded"), None),
        (error("too long", code="context_length_exceeded", n_ctx=-1), None),
        (error("maximum context length is 99999999999999 tokens"), None),
        (error("the context size is 8192, and the role is unknown"), None),
    ],
)
def test_it_reads_how_long_a_context_may_be(body: Any, limit: int | None) -> None:
    assert of(400, body).context_limit == limit


def test_it_keeps_the_providers_own_words_without_secrets() -> None:
    failure = of(401, error("Incorrect API key provided: sk-live0123456789abcdef."))

    assert failure.detail == "Incorrect API key provided: [redacted]."
    assert "sk-live" not in str(failure)


def test_it_keeps_words_that_every_database_takes() -> None:
    assert of(500, error("bro\0ken")).detail == "broken"


def test_it_cuts_long_words_to_two_kilobytes() -> None:
    failure = of(500, ("ä ß " * 20_000).encode())

    assert 2000 < len(failure.detail.encode()) <= 2048


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b"[]", b'{"error":null}', b'{"error":{"message":null}}'])
def test_it_has_something_to_say_for_a_silent_provider(body: bytes) -> None:
    assert of(500, body).detail


def test_it_passes_on_the_wait_of_any_status() -> None:
    assert of(503, error("busy"), **{"retry-after": "7"}).retry_after_s == 7


@pytest.mark.parametrize(
    ("said", "event"),
    [
        ({"error": {"message": "boom", "type": "server_error", "param": None, "code": None}}, Event.ERROR_FRAME),
        ({"error": {"code": 500, "message": "boom", "type": "server_error"}}, Event.ERROR_FRAME),
        ({"error": "boom"}, Event.ERROR_FRAME),
        ({"message": "boom", "object": "error", "code": 50001}, Event.ERROR_FRAME),
        ({"error": {"code": 400, "message": "n", "type": "exceed_context_size_error"}}, Event.CONTEXT_LENGTH),
        ({"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}, Event.LOADING),
        ({"error": {"code": 503, "message": "maximum pending requests exceeded"}}, Event.BUSY),
        ({"error": {"message": "quota", "code": "insufficient_quota"}}, Event.QUOTA),
        ({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, Event.OVERLOADED),
        ({"error": {"message": "CUDA out of memory"}}, Event.MODEL_CRASHED),
    ],
)
def test_it_reads_an_error_inside_a_stream(said: Any, event: Event) -> None:
    failure = failure_in_stream(said)

    assert failure.event is event
    assert failure.detail


def mapped(cause: Exception) -> httpx.HTTPError:
    """As httpx-aiohttp hands exceptions on."""
    coarse = httpx.ConnectTimeout(str(cause))
    coarse.__cause__ = cause
    return coarse


@pytest.mark.parametrize(
    ("cause", "event"),
    [
        (aiohttp.ServerDisconnectedError(), Event.REFUSED),
        (aiohttp.ClientConnectorError(HOST, ConnectionRefusedError(111, "refused")), Event.REFUSED),
        (aiohttp.ClientConnectorDNSError(HOST, OSError(-2, "unknown")), Event.REFUSED),
        (aiohttp.ClientConnectorError(HOST, OSError(113, "No route to host")), Event.REFUSED),
        (aiohttp.ClientOSError(104, "reset"), Event.REFUSED),
        (aiohttp.ClientConnectorError(HOST, TimeoutError(110, "timed out")), Event.CONNECT_TIMEOUT),
        (aiohttp.ConnectionTimeoutError(), Event.CONNECT_TIMEOUT),
        (aiohttp.InvalidURL("http://"), Event.MISCONFIGURED),
    ],
    ids=lambda value: type(value).__name__,
)
def test_it_tells_what_happened_before_any_answer(cause: Exception, event: Event) -> None:
    assert failure_of_transport(mapped(cause), answered=False).event is event


@pytest.mark.parametrize(
    "cause",
    [aiohttp.ClientPayloadError("short"), aiohttp.ClientOSError(104, "reset"), aiohttp.ServerDisconnectedError()],
)
def test_it_calls_every_break_after_the_status_line_a_cut(cause: Exception) -> None:
    assert failure_of_transport(mapped(cause), answered=True).event is Event.CUT


def test_it_takes_an_exception_that_was_not_mapped() -> None:
    assert failure_of_transport(aiohttp.ClientOSError(104, "reset"), answered=False).event is Event.REFUSED


def test_it_calls_broken_compression_malformed() -> None:
    assert failure_of_transport(httpx.DecodingError("zlib"), answered=True).event is Event.MALFORMED


@pytest.mark.parametrize(
    "cause",
    [
        aiohttp.ClientPayloadError("Bad chunk size: b'my secret answer'"),
        BadStatusLine("my secret answer"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_it_does_not_repeat_the_bytes_that_a_parser_quotes(cause: Exception) -> None:
    failure = failure_of_transport(mapped(cause), answered=True)

    assert failure.detail == type(cause).__name__


def test_it_keeps_only_the_shape_of_what_it_could_not_read() -> None:
    piece = b'{"content":"my secret'

    with pytest.raises(orjson.JSONDecodeError) as raised:
        orjson.loads(piece)

    said = malformed("not a chunk", piece, raised.value).detail
    assert said == "not a chunk: 21 bytes, unreadable from character 21 on"
    assert (
        malformed("not a chunk", b"[1]", TypeError("my secret")).detail == "not a chunk: 3 bytes, JSON of another shape"
    )


@pytest.mark.parametrize(
    "body",
    [
        b"my secret answer",
        b"<html>my secret answer</html>",
        {"message": {"role": "assistant", "content": "my secret answer, 8192 tokens exceed the context"}},
        {"choices": [{"message": {"content": "my secret answer"}}]},
    ],
)
def test_it_does_not_repeat_an_answer_that_came_in_another_form(body: Any) -> None:
    failure = of(200, body, **{"content-type": "application/json; charset=utf-8"})

    assert failure.event is Event.MISCONFIGURED
    assert "secret" not in failure.detail
    assert failure.detail.endswith("bytes of application/json")


def test_it_does_not_repeat_a_content_type_that_is_none() -> None:
    assert of(500, b"", **{"content-type": "my secret answer"}).detail.endswith("0 bytes of no content type")
