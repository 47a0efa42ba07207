"""One HTTP exchange with a provider: sent, judged and, whatever happens, closed."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import aiohttp
import httpx
import orjson

from architect.lib.outbound import http_client
from llm_providers.adapters.base import Connection
from llm_providers.adapters.failures import failure_of_answer, failure_of_transport, malformed, media_type
from llm_providers.adapters.framing import LONGEST_ANSWER
from llm_providers.errors import Event, ProviderFailure

ERROR_BODY_LIMIT = 64 * 1024

# aiohttp's own exceptions pass httpx-aiohttp unmapped where it has no name for them; a bad address is a ValueError.
_BROKEN = (httpx.HTTPError, httpx.InvalidURL, aiohttp.ClientError, OSError)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What is sent: a path below the provider's base URL, or another of its server's; without a body it is a GET.

    With `is_stream` a single JSON object is no answer either, whatever its status.
    """

    path: str
    base_url: str | None = None
    is_stream: bool = False
    body: bytes | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@asynccontextmanager
async def exchange(connection: Connection, outgoing: Outgoing) -> AsyncGenerator[httpx.Response, None]:
    """The answer with status 200, its body still to be read.

    Every other answer and every break of the connection, also one while the body is read, is a `ProviderFailure`.
    There is no time limit but that for connecting. Leaving the block closes the connection unless the body was read
    to its end. A body that can't be read fails with its content type.
    """
    answered = False
    try:
        response = await _send(connection, outgoing)
        answered = True
        try:
            if response.status_code != 200 or _is_of_wrong_kind(response, outgoing):
                raise await _failure_of(response)
            yield response
        except ProviderFailure as failure:
            if failure.event is Event.MALFORMED:
                failure.detail += f" ({media_type(response.headers)})"
            raise
        finally:
            await response.aclose()
    except _BROKEN as error:
        raise failure_of_transport(error, answered=answered) from error


def pieces_of(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    """The body as it arrives."""
    return cast("AsyncGenerator[bytes, None]", response.aiter_bytes())  # httpx hides that it is a generator


async def read_to_end(pieces: AsyncGenerator[Any, None]) -> None:
    """Takes what follows a terminal marker, normally nothing, so that the connection can be used again.

    A server that has more to say or leaves the connection open is not waited for.
    """
    with suppress(TimeoutError, *_BROKEN):
        async with asyncio.timeout(0.05):
            async for _ in pieces:
                pass


async def whole_body(response: httpx.Response) -> bytes:
    """All of the answer, if it is within 32 MB."""
    body = bytearray()
    await _collect(response, body, limit=LONGEST_ANSWER)
    if len(body) > LONGEST_ANSWER:
        raise malformed("the answer is longer than 32 MB")
    return bytes(body)


def json_body(content: Mapping[str, Any]) -> bytes:
    """`content` as it is sent; what JSON cannot carry, such as half a surrogate pair, is the caller's mistake."""
    try:
        return orjson.dumps(content)
    except orjson.JSONEncodeError as error:
        raise ProviderFailure(Event.BAD_REQUEST, f"the request cannot be written as JSON: {error}") from error


async def _send(connection: Connection, outgoing: Outgoing) -> httpx.Response:
    client = await http_client(is_local=connection.is_local)
    try:
        request = client.build_request(
            "GET" if outgoing.body is None else "POST",
            (outgoing.base_url or connection.base_url) + outgoing.path,
            content=outgoing.body,
            headers=dict(outgoing.headers),
            timeout=httpx.Timeout(None, connect=connection.connect_timeout_s),
        )
        return await client.send(request, stream=True)
    except ValueError as error:  # a secret that no header may carry; its text is not shown
        raise ProviderFailure(Event.MISCONFIGURED, "the address or the secret cannot be sent") from error


def _is_of_wrong_kind(response: httpx.Response, outgoing: Outgoing) -> bool:
    kind = response.headers.get("content-type", "")
    return kind.startswith("text/html") or (outgoing.is_stream and kind.startswith("application/json"))


async def _failure_of(response: httpx.Response) -> ProviderFailure:
    body = bytearray()
    with suppress(*_BROKEN):  # the status says enough where the explanation breaks off
        await _collect(response, body, limit=ERROR_BODY_LIMIT)
    return failure_of_answer(
        status=response.status_code, headers=response.headers, body=bytes(body), now=datetime.now(UTC)
    )


async def _collect(response: httpx.Response, body: bytearray, *, limit: int) -> None:
    """Adds to `body` until the answer ends or `limit` bytes are passed."""
    async with aclosing(pieces_of(response)) as pieces:
        async for piece in pieces:
            body += piece
            if len(body) > limit:
                return
