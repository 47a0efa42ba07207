"""`/ws/events/`: says which topic changed and never what; the page then fetches its fragment."""

import asyncio
from collections.abc import Callable

from django.core import signing

from architect.live.audience import audience
from architect.live.sockets import Frame, PersonSocket
from architect.live.topics import topics_of
from architect.live.watcher import watcher


class EventsConsumer(PersonSocket):
    async def opened(self) -> None:
        self._topics: frozenset[str] = frozenset()
        self._stop_listening: Callable[[], None] | None = None

    async def closed(self) -> None:
        if self._stop_listening is not None:
            self._stop_listening()
        audience().leave(self._topics)

    async def heard(self, frame: Frame) -> None:
        if frame["t"] != "watch":
            self.refuse(frame, "bad_message", "This socket knows only `watch`.")
            return
        try:
            topics = topics_of(str(frame.get("topics")), user_id=self.person_id)
        except signing.BadSignature:
            self.refuse(frame, "not_found", "These topics are not for this person or no longer valid; reload the page.")
            return
        self._watch(self._topics | topics)

    def _watch(self, topics: frozenset[str]) -> None:
        if self._stop_listening is not None:
            self._stop_listening()
        loop = asyncio.get_running_loop()
        audience().join(topics - self._topics)
        self._topics = topics
        self._stop_listening = watcher().listen(
            topics, lambda topic: _pass_on(loop, lambda: self.say({"t": "changed", "topic": topic}))
        )


def _pass_on(loop: asyncio.AbstractEventLoop, act: Callable[[], None]) -> None:
    """From the watcher's thread to the socket's loop, which may have ended meanwhile."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(act)
