"""One thread a process that reads the topic numbers and tells its listeners which changed.

Correctness rests on the rows alone; a change in this process only shortens the wait for the next look.
"""

import atexit
import logging
import threading
from collections.abc import Callable
from functools import cache

from django.db import Error as DatabaseFailure
from django.db import connection

from architect.live.models import Topic

logger = logging.getLogger(__name__)
LOOK_EVERY_S = 0.5

Heard = Callable[[str], None]


class Watcher:
    """Listeners are called on the watcher's own thread, so they only pass the word on."""

    def __init__(self) -> None:
        self._listeners: dict[object, tuple[frozenset[str], Heard]] = {}
        self._numbers: dict[str, int] = {}
        self._lock = threading.Lock()
        self._look_now = threading.Event()
        self._thread: threading.Thread | None = None
        self._end = threading.Event()

    def listen(self, topics: frozenset[str], heard: Heard) -> Callable[[], None]:
        """Calls `heard(topic)` after each change of one of `topics`; the returned function ends it.

        The first look at a topic nobody listened to before counts as a change: it may have changed just now.
        """
        key = object()
        with self._lock:
            self._listeners[key] = (topics, heard)
            self._ensure_thread()
        self._look_now.set()
        return lambda: self._forget(key)

    def wake(self) -> None:
        """Looks at once instead of at the end of the interval."""
        self._look_now.set()

    def close(self) -> None:
        """Forgets all listeners and ends the thread; the next `listen` starts another."""
        with self._lock:
            thread, self._thread = self._thread, None
            self._end.set()
            self._listeners.clear()
            self._numbers.clear()
        self._look_now.set()
        if thread is not None:
            thread.join()

    def _forget(self, key: object) -> None:
        with self._lock:
            self._listeners.pop(key, None)

    def _ensure_thread(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._end = threading.Event()
            self._thread = threading.Thread(target=self._run, args=(self._end,), name="live-watcher", daemon=True)
            self._thread.start()

    def _run(self, end: threading.Event) -> None:
        try:
            while not end.is_set():
                self._look_now.wait(LOOK_EVERY_S)
                self._look_now.clear()
                self._look()
        finally:
            connection.close()

    def _look(self) -> None:
        with self._lock:
            listeners = list(self._listeners.values())
        if not listeners:
            return
        wanted = frozenset[str]().union(*(topics for topics, _ in listeners))
        try:
            numbers = dict(Topic.objects.filter(name__in=wanted).values_list("name", "number"))
        except DatabaseFailure as failure:
            logger.warning("Live updates wait for the database: %s", failure)
            connection.close()
            return
        changed = {name for name in wanted if numbers.get(name, 0) != self._numbers.get(name)}
        self._numbers.update({name: numbers.get(name, 0) for name in wanted})
        for topics, heard in listeners:
            for topic in sorted(topics & changed):
                _tell(heard, topic)


def _tell(heard: Heard, topic: str) -> None:
    try:
        heard(topic)
    except Exception:
        # The thread serves all listeners of the process, so one that fails costs nobody else the news.
        logger.exception("A listener failed at a change of %s", topic)


@cache
def watcher() -> Watcher:
    """The one of this process."""
    made = Watcher()
    atexit.register(made.close)
    return made
