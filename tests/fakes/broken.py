"""Servers that are broken below any API, and pages that stand where an API should be: the same for every fake."""

from collections.abc import Awaitable, Callable

from tests.fakes.behaviour import Fault
from tests.fakes.server import Wire

PAGE = b"<!DOCTYPE html>\n<html><head><title>Bad gateway</title></head><body><h1>nginx</h1></body></html>\n"


async def _hang(wire: Wire) -> None:
    await wire.until_gone()


async def _reset(wire: Wire) -> None:
    wire.reset()


async def _not_http(wire: Wire) -> None:
    await wire.send(b"SSH-2.0-OpenSSH_9.6\r\n")
    wire.close()


async def _page(wire: Wire) -> None:
    await wire.whole(200, PAGE, [("Content-Type", "text/html; charset=utf-8")])


async def _bad_gateway_page(wire: Wire) -> None:
    await wire.whole(502, PAGE, [("Content-Type", "text/html")])


async def _opaque_error(wire: Wire) -> None:
    await wire.whole(500, b"", [])


async def _cut_error_body(wire: Wire) -> None:
    await wire.head(500, [("Content-Type", "application/json"), ("Content-Length", "4000")])
    await wire.send(b'{"error":{"mess')
    wire.close()


async def _endless_error_body(wire: Wire) -> None:
    await wire.head(500, [("Content-Type", "text/plain"), ("Transfer-Encoding", "chunked")])
    while True:  # ends when the client has heard enough
        await wire.chunk(b"and another thing; " * 500)


async def _redirect(wire: Wire) -> None:
    await wire.whole(302, b"", [("Location", "http://127.0.0.1:9/elsewhere")])


BROKEN: dict[Fault, Callable[[Wire], Awaitable[None]]] = {
    Fault.HANG: _hang,
    Fault.RESET: _reset,
    Fault.NOT_HTTP: _not_http,
    Fault.PAGE: _page,
    Fault.BAD_GATEWAY_PAGE: _bad_gateway_page,
    Fault.OPAQUE_ERROR: _opaque_error,
    Fault.CUT_ERROR_BODY: _cut_error_body,
    Fault.ENDLESS_ERROR_BODY: _endless_error_body,
    Fault.REDIRECT: _redirect,
}
