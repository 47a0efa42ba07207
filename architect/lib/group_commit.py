"""Durable writes that share a commit: one thread a process, with a connection of its own.

It commits at once when it is idle; what arrives while a commit is under way shares the next one. There is no timer,
because waiting would be the larger part of a lone caller's latency.
"""

import asyncio
import atexit
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from django.db import InterfaceError, OperationalError, connection, transaction

_BATCH = 256
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Write:
    work: Callable[[], Any]
    outcome: "Future[Any]"


class GroupCommit:
    """Runs database work in the order of submission; a result is handed out after its commit, never before.

    Work must be fit to run twice: when one of a batch fails, the batch is rolled back and each is run alone.
    """

    def __init__(self) -> None:
        self._writes: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self.commits = 0

    def submit(self, work: Callable[[], T]) -> "Future[T]":
        outcome: Future[T] = Future()
        with self._starting:
            self._writes.put(_Write(work, outcome))
            self._ensure_thread()
        return outcome

    async def commit(self, work: Callable[[], T]) -> T:
        """The result of `work` once it is on disk; raises what `work` or the commit raised."""
        # Shielded: a caller that is cancelled must not cancel a write that others of its batch rely on.
        return await asyncio.shield(asyncio.wrap_future(self.submit(work)))

    def close(self) -> None:
        """Writes out what waits and ends the thread; the next `submit` starts another."""
        with self._starting:
            thread, self._thread = self._thread, None
            writes, self._writes = self._writes, queue.SimpleQueue()  # what is submitted from now on is for the next
        if thread is not None:
            writes.put(None)
            thread.join()

    def _ensure_thread(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, args=(self._writes,), name="group-commit", daemon=True)
            self._thread.start()

    def _run(self, writes: "queue.SimpleQueue[_Write | None]") -> None:
        try:
            while batch := _next_batch(writes):
                self._write(batch)
        finally:
            connection.close()

    def _write(self, batch: list[_Write]) -> None:
        try:
            results = self._in_one_transaction(batch)
        except Exception as failure:  # noqa: BLE001 - whatever the work raises belongs to its caller
            if len(batch) == 1:
                batch[0].outcome.set_exception(failure)
                return
            for write in batch:
                self._write([write])
            return
        for write, result in zip(batch, results, strict=True):
            write.outcome.set_result(result)

    def _in_one_transaction(self, batch: list[_Write]) -> list[Any]:
        try:
            results = _committed(batch)
        except (OperationalError, InterfaceError):
            if connection.is_usable():
                raise
            # The connection was lost while nobody used it, say by a restart of the server: a new one may do.
            connection.close()
            results = _committed(batch)
        self.commits += 1
        return results


def _next_batch(writes: "queue.SimpleQueue[_Write | None]") -> list[_Write]:
    """All that waits, up to 256; nothing at the end."""
    batch: list[_Write] = []
    write = writes.get()
    while write is not None:
        batch.append(write)
        if len(batch) == _BATCH or writes.empty():
            return batch
        write = writes.get_nowait()
    if batch:
        writes.put(None)
    return batch


def _committed(batch: list[_Write]) -> list[Any]:
    with transaction.atomic():
        return [write.work() for write in batch]


@cache
def group_commit() -> GroupCommit:
    """The one of this process."""
    made = GroupCommit()
    atexit.register(made.close)
    return made
