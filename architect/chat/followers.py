"""Runs that another process makes: their stored fragments are read for all sockets of this process together.

One read per run every half second, however many sockets follow it. Nothing here relies on the channel layer.
"""

import asyncio
import logging
import uuid
from collections.abc import Callable
from weakref import WeakKeyDictionary

from channels.db import database_sync_to_async
from django.db import Error as DatabaseFailure

from architect.chat.fragments import Fragment
from architect.chat.models import Run
from architect.chat.runs import Ended, Tell, delta_frame
from architect.chat.services import settle_stale_runs, stored_fragments

logger = logging.getLogger(__name__)
LOOK_EVERY_S = 0.5


class Followers:
    """Who in this process looks at which run of another process."""

    def __init__(self) -> None:
        self._listeners: dict[uuid.UUID, set[tuple[Tell, Ended]]] = {}
        self._tasks: dict[uuid.UUID, asyncio.Task[None]] = {}

    def follow(self, run_id: uuid.UUID, tell: Tell, ended: Ended) -> Callable[[], None]:
        """Frames of the run from here on; the caller has read, or reads next, what is stored already."""
        listener = (tell, ended)
        self._listeners.setdefault(run_id, set()).add(listener)
        if run_id not in self._tasks:
            self._tasks[run_id] = asyncio.create_task(self._look_until_end(run_id), name=f"follow {run_id}")
        return lambda: self._forget(run_id, listener)

    def _forget(self, run_id: uuid.UUID, listener: tuple[Tell, Ended]) -> None:
        listeners = self._listeners.get(run_id, set())
        listeners.discard(listener)
        if not listeners and run_id in self._tasks:
            self._tasks.pop(run_id).cancel()
            self._listeners.pop(run_id, None)

    async def _look_until_end(self, run_id: uuid.UUID) -> None:
        seq = 0
        is_active = True
        while is_active:
            try:
                fragments, is_active = await database_sync_to_async(_look)(run_id, seq)
            except DatabaseFailure as failure:
                logger.warning("Run %s is followed again soon: %s", run_id, failure)
                fragments = []
            except Exception:
                # The sockets rely on this task to hear of the end, so it outlives what nobody thought of.
                logger.exception("Run %s could not be followed and is tried again", run_id)
                fragments = []
            for fragment in fragments:
                seq = fragment.seq
                for tell, _ in tuple(self._listeners[run_id]):
                    tell(delta_frame(run_id, fragment))
            if is_active:
                await asyncio.sleep(LOOK_EVERY_S)
        self._tasks.pop(run_id, None)
        for _, ended in self._listeners.pop(run_id, set()):
            ended(run_id)


def _look(run_id: uuid.UUID, seq: int) -> tuple[list[Fragment], bool]:
    """(what has been stored since, whether the run goes on). A run whose process is gone ends here."""
    is_active = Run.objects.active().filter(pk=run_id).exists()
    if is_active:
        settle_stale_runs(run_id=run_id)
    return stored_fragments(run_id, after_seq=seq), is_active


_followers: WeakKeyDictionary[asyncio.AbstractEventLoop, Followers] = WeakKeyDictionary()


def followers() -> Followers:
    """The ones of the running loop."""
    return _followers.setdefault(asyncio.get_running_loop(), Followers())
