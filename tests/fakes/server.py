"""An HTTP/1.1 server on loopback that controls every byte and every way to end a connection.

It runs in a thread with a loop of its own, so that synchronous and asynchronous tests can use it, and other processes.
"""

import asyncio
import socket
import struct
import threading
import time
from collections.abc import Coroutine, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

import orjson

from tests.fakes.behaviour import Answer, Fault

Headers = Iterable[tuple[str, str]]


@dataclass(slots=True)
class RecordedRequest:
    """A request as it came in; `closed` is set once its connection is gone, at `closed_at` (monotonic seconds)."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    connection: int
    received_at: float
    closed: threading.Event = field(repr=False)
    closed_at: float | None = None

    def json(self) -> Any:
        return orjson.loads(self.body)


class PeerGoneError(Exception):
    """The other side closed the connection."""


class Wire(asyncio.Protocol):
    """One connection: collects requests and sends what it is told, as raw as that may be."""

    _numbers = iter(range(1, 1_000_000_000))

    def __init__(self, server: "FakeServer") -> None:
        self._server = server
        self._incoming = bytearray()
        self._writable = asyncio.Event()
        self.gone = asyncio.Event()
        self._closed = threading.Event()
        self._served: asyncio.Task[None] | None = None
        self._recorded: list[RecordedRequest] = []
        self.number = next(Wire._numbers)
        self.transport: asyncio.Transport

    # what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._writable.set()
        self._server.wires.add(self)
        self._server.connections_seen += 1

    def data_received(self, data: bytes) -> None:
        self._incoming += data
        if self._incoming.startswith(b"\x16\x03"):  # somebody tries TLS; real servers answer like this, too
            self.transport.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
            self.transport.close()
            return
        if self._served is None or self._served.done():
            self._serve_next()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        now = time.monotonic()
        for request in self._recorded:
            request.closed_at = now
        self._closed.set()
        self.gone.set()
        self._writable.set()
        self._server.wires.discard(self)

    # what a fake calls

    async def send(self, *parts: bytes) -> None:
        """Sends `parts` as they are; raises `PeerGoneError` if nobody is there any more."""
        if self.gone.is_set() or self.transport.is_closing():
            raise PeerGoneError
        self.transport.writelines(parts)
        if not self._writable.is_set():
            await self._writable.wait()

    async def head(self, status: int, headers: Headers) -> None:
        await self.send(head(status, headers))

    async def whole(self, status: int, body: bytes, headers: Headers) -> None:
        await self.send(head(status, (*headers, ("Content-Length", str(len(body))))), body)

    async def chunk(self, content: bytes) -> None:
        """One chunk of a chunked body, in a packet of its own."""
        await self.send(b"%x\r\n%b\r\n" % (len(content), content))

    async def last_chunk(self) -> None:
        await self.send(b"0\r\n\r\n")

    async def drip(self, content: bytes, *, delay_s: float = 0.0) -> None:
        """Sends `content` byte by byte, each a chunk and a packet of its own."""
        for byte in content:
            await self.chunk(bytes([byte]))
            await asyncio.sleep(delay_s)

    async def until_gone(self) -> None:
        """Silence, until the other side closes the connection."""
        await self.gone.wait()
        raise PeerGoneError

    def close(self) -> None:
        self.transport.close()

    def reset(self) -> None:
        """Ends the connection with RST instead of FIN, as a crashing process may."""
        linger = struct.pack("ii", 1, 0)
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.transport.abort()

    def _serve_next(self) -> None:
        request = self._next_request()
        if request is None:
            return
        self._recorded.append(request)
        self._server.requests.append(request)
        self._served = asyncio.get_running_loop().create_task(self._serve(request))
        self._served.add_done_callback(self._server.note_defect)

    async def _serve(self, request: RecordedRequest) -> None:
        try:
            await self._server.answer(request, self)
        except PeerGoneError:
            return
        if self._incoming and not self.transport.is_closing():
            asyncio.get_running_loop().call_soon(self._serve_next)

    def _next_request(self) -> RecordedRequest | None:
        """The oldest request that is complete; requests with a chunked body are not understood."""
        end = self._incoming.find(b"\r\n\r\n")
        if end < 0:
            return None
        first, *lines = self._incoming[:end].decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = end + 4 + int(headers.get("content-length", "0"))
        if len(self._incoming) < length:
            return None
        body = bytes(self._incoming[end + 4 : length])
        del self._incoming[:length]
        return RecordedRequest(method, path, headers, body, self.number, time.monotonic(), self._closed)


class FakeServer:
    """A server to be used as a context manager; a subclass says what it answers.

    `requests` grows by each request that came in whole. With `is_refusing` nothing listens on the port, as after a
    crash; the port stays the same when it comes back.
    """

    def __init__(self, *, port: int = 0) -> None:
        self.requests: list[RecordedRequest] = []
        self.wires: set[Wire] = set()
        self.connections_seen = 0
        self.defects: list[BaseException] = []
        self.port = port
        self._listener: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=type(self).__name__, daemon=True)

    async def answer(self, request: RecordedRequest, wire: Wire) -> None:
        raise NotImplementedError

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        if error is None and self.defects:
            raise self.defects[0]

    @property
    def is_refusing(self) -> bool:
        return self._listener is None

    @is_refusing.setter
    def is_refusing(self, refuses: bool) -> None:
        if refuses and self._listener is not None:
            self._run(self._die())
        if not refuses and self._listener is None:
            self._run(self._listen())

    def note_defect(self, served: asyncio.Task[None]) -> None:
        """A mistake of the fake itself must fail the test that met it, not look like a fault of the provider."""
        if not served.cancelled() and (error := served.exception()) is not None:
            self.defects.append(error)

    def drop_connections(self) -> None:
        """Closes what is open, as a restarting server does."""
        self._run(self._drop())

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(lambda: Wire(self), "127.0.0.1", self.port, reuse_address=True)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def _die(self) -> None:
        if self._listener is not None:
            # Closed between accepting a connection and serving it, a server would leave the socket open
            # (python/cpython#109564), so what was accepted gets its turn first.
            for listening in self._listener.sockets:
                asyncio.get_running_loop().remove_reader(listening.fileno())
            await asyncio.sleep(0)
            self._listener.close()
            self._listener = None
        await self._drop()

    async def _drop(self) -> None:
        wires = tuple(self.wires)
        for wire in wires:
            wire.reset()
        await asyncio.gather(*(wire.gone.wait() for wire in wires))

    async def _stop(self) -> None:
        await self._die()
        mine = asyncio.current_task()
        tasks = [task for task in asyncio.all_tasks() if task is not mine]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        done: Future[None] = asyncio.run_coroutine_threadsafe(work, self._loop)
        done.result(timeout=10)


class FakeModelServer(FakeServer):
    """A fake with models. `fault` and `reply` hold for every request that begins after they were set, `faults_once`
    for one request each before that.

    `first_byte_delay_s` is what `Fault.SLOW_FIRST_BYTE` waits.
    """

    def __init__(self, *, reply: Answer, port: int = 0) -> None:
        super().__init__(port=port)
        self.reply = reply
        self.first_byte_delay_s = 0.5
        self.faults_once: list[Fault] = []
        self._fault = Fault.NONE

    def fault_of_next(self) -> Fault:
        """What goes wrong with the request that has just come in."""
        return self.faults_once.pop(0) if self.faults_once else self._fault

    @property
    def base_url(self) -> str:
        return self.origin

    @property
    def model_names(self) -> list[str]:
        raise NotImplementedError

    @property
    def fault(self) -> Fault:
        return self._fault

    @fault.setter
    def fault(self, fault: Fault) -> None:
        self._fault = fault
        self.is_refusing = fault is Fault.REFUSE


def head(status: int, headers: Headers) -> bytes:
    """A status line and headers. An unofficial status, such as 529, has no phrase."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    lines = (f"HTTP/1.1 {status} {phrase}", f"Date: {formatdate(usegmt=True)}")
    return "\r\n".join((*lines, *(f"{name}: {value}" for name, value in headers), "", "")).encode()
