"""What every websocket of the product has in common: who may open it, frames in, frames out."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

import orjson
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.sessions.backends.db import SessionStore
from django.db import Error as DatabaseFailure
from django.http import HttpRequest
from django.http.request import split_domain_port, validate_host

logger = logging.getLogger(__name__)

SIGNED_OUT, FOREIGN_ORIGIN, FRAME_TOO_LARGE, TOO_MANY_FRAMES = 4401, 4403, 4413, 4429
NOT_ALLOWED = FOREIGN_ORIGIN
_LARGEST_FRAME = 1280 * 1024  # 200,000 characters of any script
_FRAMES, _FRAMES_IN_S = 50, 10.0
_LARGEST_OUTBOX = 1024 * 1024
_LOOK_AT_SESSION_EVERY_S = 60.0

Frame = Mapping[str, Any]


class PersonSocket(AsyncWebsocketConsumer):
    """JSON objects in text frames, each with its type in `t`; a subclass answers them in `heard`.

    Frames go out through a queue of their own, so that a slow browser never holds up who produces them.
    """

    subprotocol = ""
    permission = ""

    async def connect(self) -> None:
        self._outbox: deque[bytes] = deque()
        self._outbox_size = 0
        self._outbox_filled = asyncio.Event()
        self._arrivals: deque[float] = deque(maxlen=_FRAMES)
        self._pump: asyncio.Task[None] | None = None
        # A browser sees a close code only on a socket that was accepted.
        await self.accept(self.subprotocol if self.subprotocol in self.scope["subprotocols"] else None)
        refusal = FOREIGN_ORIGIN if not _is_own_origin(self.scope) else await self._person_refusal()
        if refusal is not None:
            await self.close(refusal)
            return
        self._pump = asyncio.create_task(self._send_outbox())
        self._doorkeeper = asyncio.create_task(self._show_out_who_left())
        await self.opened()

    async def disconnect(self, code: int) -> None:
        if self._pump is not None:
            self._pump.cancel()
            self._doorkeeper.cancel()
            await self.closed()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        raw = text_data.encode("utf-8", "surrogatepass") if text_data is not None else bytes_data or b""
        if len(raw) > _LARGEST_FRAME:
            await self.close(FRAME_TOO_LARGE)
            return
        if self._too_many():
            await self.close(TOO_MANY_FRAMES)
            return
        frame = _parse(raw)
        if frame is None:
            self.refuse({}, "bad_message", "A frame is a JSON object with `t`.")
            return
        try:
            refusal = await self._person_refusal()
            if refusal is None:
                await self.heard(frame)
            else:
                await self.close(refusal)
        except DatabaseFailure as failure:
            logger.warning("A frame %r was refused because of the database: %s", frame["t"], failure)
            self.refuse(frame, "retry", "The database did not answer. Try again in a moment.")

    def say(self, frame: Frame) -> None:
        """Queues a frame; when the browser does not keep up, the queue is dropped and `fell_behind` is called."""
        encoded = orjson.dumps(frame)
        if self._outbox_size + len(encoded) > _LARGEST_OUTBOX:
            self._outbox.clear()
            self._outbox_size = 0
            self.fell_behind()
            return
        self._outbox.append(encoded)
        self._outbox_size += len(encoded)
        self._outbox_filled.set()

    def refuse(self, frame: Frame, code: str, text: str) -> None:
        """An error that names the frame it answers by its `id` or `run`; the socket stays open."""
        self.say({"t": "error", "re": frame.get("id") or frame.get("run"), "code": code, "text": text})

    async def opened(self) -> None:
        """The person is signed in and the socket is open."""

    async def closed(self) -> None:
        """The socket that was `opened` is gone."""

    async def heard(self, frame: Frame) -> None:
        raise NotImplementedError

    def fell_behind(self) -> None:
        """Queued frames were dropped."""

    async def _person_refusal(self) -> int | None:
        """Why this person may not, or no longer, be here."""
        return await database_sync_to_async(_refusal)(self.scope["session"].session_key, self.permission)

    async def _show_out_who_left(self) -> None:
        """A socket outlives the session that opened it; here it does so by a minute at most."""
        while True:
            await asyncio.sleep(_LOOK_AT_SESSION_EVERY_S)
            try:
                refusal = await self._person_refusal()
            except DatabaseFailure as failure:
                logger.warning("Whether a socket's person is still signed in is asked again soon: %s", failure)
                continue
            if refusal is not None:
                await self.close(refusal)
                return

    @property
    def person_id(self) -> int:
        """Who opened the socket; known from `opened` on."""
        person = self.scope["user"]
        assert person is not None, "an opened socket has a person"  # noqa: S101 - refused in connect otherwise
        return int(person.pk)

    def _too_many(self) -> bool:
        now = time.monotonic()
        crowded = len(self._arrivals) == _FRAMES and now - self._arrivals[0] < _FRAMES_IN_S
        self._arrivals.append(now)
        return crowded

    async def _send_outbox(self) -> None:
        while True:
            await self._outbox_filled.wait()
            self._outbox_filled.clear()
            while self._outbox:
                encoded = self._outbox.popleft()
                self._outbox_size -= len(encoded)
                await self.send(text_data=encoded.decode())


def _refusal(session_key: str | None, permission: str) -> int | None:
    """Read afresh, because the scope still shows the person as they were when the socket was opened."""
    request = HttpRequest()
    request.session = SessionStore(session_key)
    person = get_user(request)
    if not person.is_authenticated:
        return SIGNED_OUT
    return None if not permission or person.has_perm(permission) else NOT_ALLOWED


def _parse(raw: bytes) -> dict[str, Any] | None:
    try:
        frame = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    return frame if isinstance(frame, dict) and isinstance(frame.get("t"), str) else None


def _is_own_origin(scope: Mapping[str, Any]) -> bool:
    """A browser always says where its page came from; what says nothing is no browser and has no cookie to abuse.

    Host and port must both be ours: cookies do not tell ports apart, and neighbours live on other ports of this host.
    """
    headers = dict(scope["headers"])
    if b"origin" not in headers:
        return True
    origin = headers[b"origin"].decode("latin-1").lower()
    host = headers.get(b"host", b"").decode("latin-1").lower()
    if origin == settings.PUBLIC_URL.rstrip("/").lower():
        return True
    domain, _port = split_domain_port(host)
    return origin.partition("://")[2] == host and validate_host(domain, settings.ALLOWED_HOSTS)
