"""The one door for HTTP to the outside: pooled clients that live and die with their event loop."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport  # about ten times cheaper per request than httpx's own transport


@dataclass(frozen=True, slots=True)
class _Pool:
    client: httpx.AsyncClient
    keeper: AsyncGenerator[None, None]


_pools: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[bool, _Pool]] = WeakKeyDictionary()


async def http_client(*, is_local: bool) -> httpx.AsyncClient:
    """The client of the running loop for local or for remote targets.

    It has no read time-out, because callers run clocks of their own, and follows no redirect, because that could
    carry a text to a place nobody chose. Proxy variables of the environment count for remote targets only.
    """
    pools = _pools.setdefault(asyncio.get_running_loop(), {})
    if is_local not in pools:
        pools[is_local] = await _open_pool(is_local=is_local)
    return pools[is_local].client


async def _open_pool(*, is_local: bool) -> _Pool:
    client = httpx.AsyncClient(
        # `verify` is for a session that the transport would make itself; reading certificates takes it 50 ms.
        transport=AiohttpTransport(verify=False, client=_local_session if is_local else _remote_session),
        timeout=httpx.Timeout(None, connect=1.0 if is_local else 3.0),
        follow_redirects=False,
    )
    keeper = _close_with_loop(client)
    await anext(keeper)
    return _Pool(client, keeper)


def _local_session() -> aiohttp.ClientSession:
    """A connection per request: on a near network it costs a fraction of a millisecond, while a kept one that the
    server closes at the wrong moment (llama.cpp does after 5 s or 100 requests) would look like a dead server.
    """
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True), trust_env=False)


def _remote_session() -> aiohttp.ClientSession:
    """Kept connections save the TLS handshake; vendors keep theirs for a minute and more."""
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=15, ssl=httpx.create_ssl_context())
    return aiohttp.ClientSession(connector=connector, trust_env=True)


async def _close_with_loop(client: httpx.AsyncClient) -> AsyncGenerator[None, None]:
    """Every loop ends with `shutdown_asyncgens`, which is what reaches the `finally`."""
    try:
        yield
    finally:
        await client.aclose()
        await asyncio.sleep(0)  # aiohttp closes its sockets one turn of the loop later
