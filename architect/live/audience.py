"""Work that is worth doing only while somebody looks: it runs in a process whose sockets watch its topic."""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Care:
    topic: str
    work: Callable[[], Awaitable[None]]
    every_s: float


_cares: list[_Care] = []
_audiences: "WeakKeyDictionary[asyncio.AbstractEventLoop, Audience]" = WeakKeyDictionary()


def while_watched(topic: str, work: Callable[[], Awaitable[None]], *, every_s: float) -> None:
    """Has `work` done every `every_s` seconds while a socket of the process watches `topic`; call it at start."""
    _cares.append(_Care(topic, work, every_s))


class Audience:
    """The open sockets of one event loop, counted by the topics that they watch."""

    def __init__(self) -> None:
        self._watching: Counter[str] = Counter()
        self._tasks: dict[_Care, asyncio.Task[None]] = {}

    def join(self, topics: frozenset[str]) -> None:
        self._watching.update(topics)
        for care in _cares:
            if self._watching[care.topic] and care not in self._tasks:
                self._tasks[care] = asyncio.create_task(_go_on(care))

    def leave(self, topics: frozenset[str]) -> None:
        self._watching.subtract(topics)
        for care in [care for care in self._tasks if not self._watching[care.topic]]:
            self._tasks.pop(care).cancel()


def audience() -> Audience:
    """The one of the running loop."""
    return _audiences.setdefault(asyncio.get_running_loop(), Audience())


async def _go_on(care: _Care) -> None:
    while True:
        try:
            await care.work()
        except Exception:
            logger.exception("What is done while %s is watched failed; it is tried again", care.topic)
        await asyncio.sleep(care.every_s)
