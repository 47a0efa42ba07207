"""Runs belong to the server, not to a socket: each is a task of this process, whoever is looking.

Fragments go straight to the sockets of this process; they are stored every `CHAT_FLUSH_MS` for the other processes,
for readers who come later, and for the case that this process is killed.
"""

import asyncio
import logging
import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import aclosing
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from channels.db import database_sync_to_async
from django.conf import settings
from django.db import Error as DatabaseFailure

from architect.chat import services
from architect.chat.fragments import REASONING, TEXT, Fragment, FragmentLog
from architect.chat.models import Delta, Run, RunState
from architect.chat.prompts import request_of
from architect.chat.services import RunEnd
from architect.lib.figures import duration
from architect.lib.group_commit import group_commit
from architect.lib.storable import storable
from llm_providers.client import UnifiedLLMClient
from llm_providers.errors import AllTargetsFailed, DeadlineReached, LLMError, PrivacyBlocked, StreamBroken
from llm_providers.types import (
    Answered,
    Began,
    ClientEvent,
    FellOver,
    Loading,
    ModelRequest,
    ReasoningDelta,
    Retrying,
    Serving,
    TextDelta,
)
from llm_providers.words import reason_in_words

logger = logging.getLogger(__name__)
PROCESS = uuid.uuid4()
_NOTHING = object()

Tell = Callable[[Mapping[str, Any]], None]
Ended = Callable[[uuid.UUID], None]


class LiveRun:
    """One answer while it is made: its fragments, its task, and what is known of who makes it."""

    def __init__(self, run_id: uuid.UUID, conversation_id: uuid.UUID, tell: Tell) -> None:
        self.id = run_id
        self.conversation_id = conversation_id
        self.log = FragmentLog()
        self.started: Mapping[str, Any] | None = None
        self.summary: dict[str, Any] = {}
        self.unstored_columns: dict[str, Any] = {}
        self.is_stopped = False
        self.task: asyncio.Task[None] | None = None
        self._tell = tell
        self._closing: asyncio.TimerHandle | None = None

    def take(self, event: ClientEvent) -> None:
        match event:
            case TextDelta(text):
                self._gather(TEXT, text)
            case ReasoningDelta(text):
                self._gather(REASONING, text)
            case Began(request_id):
                self._note({"request_id": request_id})
            case Serving():
                self._serving(event)
            case FellOver() | Loading() | Retrying():
                note = {"t": "note", "run": str(self.id), "kind": "failover", "text": _on_the_way(event)}
                self._tell(note)
            case Answered():
                self.summary |= _summary_of(event)

    def close_fragment(self) -> None:
        """Sends what was gathered; it is called 40 ms after the first piece of it, or at the end."""
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None
        self._send(self.log.close())

    def mark_stored(self, seq: int, columns: Mapping[str, Any]) -> None:
        """The row has the fragments up to `seq` and these columns; what has come since is still to be stored."""
        self.log.mark_stored(seq)
        since = self.unstored_columns.items()
        self.unstored_columns = {name: value for name, value in since if columns.get(name, _NOTHING) != value}

    def _gather(self, kind: str, text: str) -> None:
        self._send(self.log.gather(kind, text))
        if not self.log.fragments:
            self.close_fragment()  # the first words are shown at once
        elif self._closing is None:
            loop = asyncio.get_running_loop()
            self._closing = loop.call_later(settings.CHAT_COALESCE_MS / 1000, self.close_fragment)

    def _send(self, fragment: Fragment | None) -> None:
        if fragment is not None:
            self._tell(delta_frame(self.id, fragment))

    def _note(self, columns: dict[str, Any]) -> None:
        """What is known of the run; it goes to its row with the next flush, for other processes and for a crash."""
        self.summary |= columns
        self.unstored_columns |= columns

    def _serving(self, event: Serving) -> None:
        self._note(
            {
                "provider_name": event.provider,
                "model_used": event.model,
                "is_local": event.is_local,
                "is_test": event.is_test,
            }
        )
        self.started = {
            "t": "started",
            "run": str(self.id),
            "provider": event.provider,
            "model": event.model,
            "local": event.is_local,
            "attempt": event.attempt,
        }
        self._tell(self.started)


class RunSupervisor:
    """All runs of this process, and who is told of them: `tell` of every socket that shows the conversation."""

    def __init__(self) -> None:
        self.live: dict[uuid.UUID, LiveRun] = {}
        self._listeners: dict[uuid.UUID, set[tuple[Tell, Ended]]] = defaultdict(set)
        self._flusher: asyncio.Task[None] | None = None
        self._client = UnifiedLLMClient()
        self._is_ending = False

    def start(self, run_id: uuid.UUID, *, conversation_id: uuid.UUID) -> None:
        """Makes the answer in a task of its own."""
        if run_id in self.live or self._is_ending:
            return
        live = LiveRun(run_id, conversation_id, partial(self._tell, conversation_id))
        self.live[run_id] = live
        live.task = asyncio.create_task(self._drive(live), name=f"run {run_id}")
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.create_task(self._flush_until_idle(), name="chat flush")

    def stop(self, run_id: uuid.UUID) -> None:
        """Ends the run if it is this process's; the others see the request in its row."""
        live = self.live.get(run_id)
        if live is not None and live.task is not None and not live.is_stopped:
            live.is_stopped = True
            live.task.cancel()

    def listen(self, conversation_id: uuid.UUID, tell: Tell, ended: Ended) -> Callable[[], None]:
        """Frames of the conversation's runs go to `tell`, and their ids to `ended`; the returned function ends it."""
        listener = (tell, ended)
        self._listeners[conversation_id].add(listener)

        def forget() -> None:
            self._listeners[conversation_id].discard(listener)
            if not self._listeners[conversation_id]:
                del self._listeners[conversation_id]

        return forget

    async def shut_down(self, *, grace_s: float) -> None:
        """No new runs; those under way get `grace_s`, then they are kept as interrupted."""
        self._is_ending = True
        tasks = [live.task for live in self.live.values() if live.task is not None]
        if not tasks:
            return
        logger.info("Waiting up to %g s for %d answers to be finished", grace_s, len(tasks))
        _, late = await asyncio.wait(tasks, timeout=grace_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _tell(self, conversation_id: uuid.UUID, frame: Mapping[str, Any]) -> None:
        for tell, _ in tuple(self._listeners.get(conversation_id, ())):
            tell(frame)

    async def _drive(self, live: LiveRun) -> None:
        try:
            end = await self._outcome(live)
        except asyncio.CancelledError:
            # A stop by a person or the end of this process; both keep what was written.
            end = _cancelled(live)
        except Exception:
            logger.exception("Run %s failed here", live.id)
            end = _failed(live, "internal_error", "Something went wrong here; see the log.")
        if end is None:
            self._let_go(live)
        else:
            # Shielded, because a cancel that comes while the end is written must not keep it from being told.
            await asyncio.shield(asyncio.create_task(self._end(live, end)))

    async def _outcome(self, live: LiveRun) -> RunEnd | None:
        """How the answer ended; None when it is not for this process to make."""
        request = await database_sync_to_async(_take_up)(live.id)
        return await self._answer(live, request) if request is not None else None

    async def _answer(self, live: LiveRun, request: ModelRequest) -> RunEnd:
        try:
            async with asyncio.timeout(settings.CHAT_RUN_LIMIT_S), aclosing(self._client.stream(request)) as events:
                async for event in events:
                    live.take(event)
        except TimeoutError:
            return _failed(live, "deadline", f"The answer took longer than {settings.CHAT_RUN_LIMIT_S:g} s.")
        except LLMError as failure:
            live.summary.setdefault("request_id", failure.request_id or "")
            live.summary["trail"] = list(failure.trail) if isinstance(failure, AllTargetsFailed) else []
            return _failed(live, _kind_of(failure), str(failure))
        live.close_fragment()
        return RunEnd(RunState.DONE, live.log.text(TEXT), live.log.text(REASONING), summary=_columns(live))

    async def _end(self, live: LiveRun, end: RunEnd) -> None:
        """The rows first, then the word to whoever is looking."""
        try:
            html = await asyncio.to_thread(services.html_of, end)
            await _commit_stubbornly(partial(services.end_run, live.id, end, html=html, by=PROCESS))
        finally:
            self._let_go(live)

    def _let_go(self, live: LiveRun) -> None:
        """This process has no more to do with the run; the pages look into its row for what became of it."""
        self.live.pop(live.id, None)
        for _, ended in tuple(self._listeners.get(live.conversation_id, ())):
            ended(live.id)

    async def _flush_until_idle(self) -> None:
        """Stores the due fragments of all runs in one transaction, so writes do not grow with the streams."""
        while self.live:
            await asyncio.sleep(settings.CHAT_FLUSH_MS / 1000)
            try:
                await self._flush()
            except DatabaseFailure as failure:
                logger.warning("Fragments wait in memory for the database: %s", failure)
            except Exception:
                # All runs of this process hang on this task: it outlives what nobody thought of.
                logger.exception("Fragments could not be stored and wait in memory")

    async def _flush(self) -> None:
        running = {live.id: live.log.last_seq for live in self.live.values()}
        deltas = [_delta_of(live) for live in self.live.values() if live.log.unstored()]
        columns = {live.id: dict(live.unstored_columns) for live in self.live.values() if live.unstored_columns}
        work = partial(services.store_fragments, deltas, running=list(running), columns=columns)
        to_stop = await group_commit().commit(work)
        for run_id, seq in running.items():
            if run_id in self.live:
                self.live[run_id].mark_stored(seq, columns.get(run_id, {}))
        for run_id in to_stop:
            self.stop(run_id)


_supervisors: WeakKeyDictionary[asyncio.AbstractEventLoop, RunSupervisor] = WeakKeyDictionary()


def run_supervisor() -> RunSupervisor:
    """The one of the running loop, which in a web process is the one of the process."""
    return _supervisors.setdefault(asyncio.get_running_loop(), RunSupervisor())


def delta_frame(run_id: uuid.UUID, fragment: Fragment) -> Mapping[str, Any]:
    return {"t": "delta", "run": str(run_id), "seq": fragment.seq, "k": fragment.kind, "s": fragment.text}


def _take_up(run_id: uuid.UUID) -> ModelRequest | None:
    """What to ask; None when the run has ended meanwhile or another process makes it."""
    if not services.take_up(run_id, process=PROCESS):
        return None
    return request_of(Run.objects.select_related("message__conversation").get(pk=run_id))


async def _commit_stubbornly(work: Callable[[], Any]) -> None:
    """Up to 30 s of tries: the text of an answer is not given up because a database was busy."""
    for pause_s in (0.25, 0.5, 1, 2, 4, 8, 14):
        try:
            await group_commit().commit(work)
        except DatabaseFailure as failure:
            logger.warning("The end of an answer waits for the database: %s", failure)
            await asyncio.sleep(pause_s)
        else:
            return
    await group_commit().commit(work)


def _delta_of(live: LiveRun) -> Delta:
    fragments = live.log.unstored()
    return Delta(
        run_id=live.id,
        first_seq=fragments[0].seq,
        last_seq=fragments[-1].seq,
        fragments=[[fragment.kind, storable(fragment.text)] for fragment in fragments],
    )


def _columns(live: LiveRun) -> dict[str, Any]:
    return {**live.summary, "last_seq": live.log.last_seq}


def _cancelled(live: LiveRun) -> RunEnd:
    live.close_fragment()
    state = RunState.STOPPED if live.is_stopped else RunState.INTERRUPTED
    text = "" if live.is_stopped else "The program was restarted while this answer was being written."
    return RunEnd(state, live.log.text(TEXT), live.log.text(REASONING), state.value, text, _columns(live))


def _failed(live: LiveRun, kind: str, text: str) -> RunEnd:
    live.close_fragment()
    return RunEnd(RunState.FAILED, live.log.text(TEXT), live.log.text(REASONING), kind, text, _columns(live))


def _kind_of(failure: LLMError) -> str:
    if isinstance(failure, StreamBroken):
        return failure.reason
    if isinstance(failure, PrivacyBlocked):
        return "privacy_blocked"
    return "deadline" if isinstance(failure, DeadlineReached) else "no_candidate"


def _on_the_way(event: FellOver | Loading | Retrying) -> str:
    """What a person who waits for the first word is told."""
    match event:
        case FellOver(target, reason):
            return f"{target} did not answer: {reason_in_words(reason)}."
        case Loading(target):
            return f"{target} is being loaded; the first word takes a while."
        case Retrying(target, wait_s):
            when = f" in {duration(wait_s * 1000)}" if wait_s >= 1 else ""
            return f"Nobody answered; asking {target} once more{when}."


def _summary_of(answered: Answered) -> dict[str, Any]:
    return {
        "request_id": answered.request_id,
        "input_tokens": answered.usage.input_tokens,
        "output_tokens": answered.usage.output_tokens,
        "usage_source": answered.usage_source,
        "ttft_ms": answered.ttft_ms,
        "total_ms": answered.total_ms,
        "tokens_per_s": answered.tokens_per_s,
        "trail": list(answered.trail),
    }
