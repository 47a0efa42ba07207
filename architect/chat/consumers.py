"""`/ws/chat/`: one socket per page. It asks and shows; the runs themselves belong to the server (`runs`)."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from channels.db import database_sync_to_async
from django.conf import settings

from architect.chat import frames, services
from architect.chat.errors import ChatError, NotFound
from architect.chat.followers import followers
from architect.chat.frames import BadFrame
from architect.chat.models import Conversation, Run
from architect.chat.queries import active_runs
from architect.chat.runs import PROCESS, delta_frame, run_supervisor
from architect.live.sockets import Frame, PersonSocket
from architect.live.watcher import watcher


class ChatConsumer(PersonSocket):
    subprotocol = frames.SUBPROTOCOL
    permission = "chat.add_conversation"

    async def opened(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._conversation_id: uuid.UUID | None = None
        self._followed: dict[uuid.UUID, Callable[[], None]] = {}
        self._held: list[Frame] | None = None
        self._endings: list[Callable[[], None]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.say(
            {
                "t": "hello",
                "protocol": 1,
                "process": str(PROCESS),
                "limits": {"message_chars": settings.CHAT_MAX_MESSAGE_CHARS},
            }
        )

    async def closed(self) -> None:
        self._leave()
        for task in tuple(self._tasks):
            task.cancel()

    async def heard(self, frame: Frame) -> None:
        act = self._acts.get(frame["t"])
        if act is None:
            self.refuse(frame, "bad_message", f"There is no frame {frame['t'][:40]!r}.")
            return
        try:
            await act(self, frame)
        except BadFrame as failure:
            self.refuse(frame, "bad_message", str(failure))
        except ChatError as failure:
            self.refuse(frame, failure.code, str(failure))

    def fell_behind(self) -> None:
        """Stored and numbered, so the page can ask for all of it again."""
        self.say({"t": "resume"})

    # --- what a page can ask for -----------------------------------------------------------------------------------

    async def _open(self, frame: Frame) -> None:
        wanted = frames.parse_open(frame)
        conversation = await database_sync_to_async(_readable)(wanted.conversation_id, self.person_id)
        self._enter(conversation.pk)
        with self._holding_news():
            runs = await database_sync_to_async(active_runs)(conversation.pk)
            self.say(frames.opened_frame(conversation, runs))
            for run in runs:
                await self._catch_up(run.pk, after_seq=wanted.seen.get(run.pk, 0))
            for run_id in wanted.seen.keys() - {run.pk for run in runs}:
                await self._say_end(run_id)

    async def _close(self, frame: Frame) -> None:
        if frames.parse_conversation(frame) == self._conversation_id:
            self._leave()

    async def _send(self, frame: Frame) -> None:
        wanted = frames.parse_send(frame)
        turn = await database_sync_to_async(services.begin_turn)(
            owner_id=self.person_id,
            conversation_id=wanted.conversation_id,
            client_id=wanted.client_id,
            text=wanted.text,
            model=wanted.model,
        )
        self._enter(turn.conversation_id)
        try:
            self.say(await database_sync_to_async(frames.accepted_frame)(turn, client_id=wanted.client_id))
        finally:
            if turn.is_waiting:  # the turn is stored, so its answer is made, whoever gets to see it
                run_supervisor().start(turn.run_id, conversation_id=turn.conversation_id)
        if not turn.is_new:
            with self._holding_news():
                await self._catch_up(turn.run_id, after_seq=0)

    async def _stop(self, frame: Frame) -> None:
        run_id = frames.parse_run(frame)
        await database_sync_to_async(services.request_stop)(run_id, owner_id=self.person_id)
        run_supervisor().stop(run_id)
        await self._say_end(run_id)

    async def _resume(self, frame: Frame) -> None:
        wanted = frames.parse_resume(frame)
        with self._holding_news():
            await self._catch_up(wanted.run_id, after_seq=wanted.after_seq)

    async def _ping(self, frame: Frame) -> None:
        self.say({"t": "pong", "n": frame.get("n")})

    _acts: Mapping[str, Callable[["ChatConsumer", Frame], Awaitable[None]]] = {
        "open": _open,
        "close": _close,
        "send": _send,
        "stop": _stop,
        "resume": _resume,
        "ping": _ping,
    }

    # --- following -------------------------------------------------------------------------------------------------

    def _enter(self, conversation_id: uuid.UUID) -> None:
        """From now on frames of this conversation are shown, and of no other."""
        if conversation_id == self._conversation_id:
            return
        self._leave()
        self._conversation_id = conversation_id
        self._endings.append(run_supervisor().listen(conversation_id, self._show, self._ended))
        self._endings.append(
            watcher().listen(frozenset({services.topic_of(self.person_id)}), lambda _: self._from_thread())
        )

    def _leave(self) -> None:
        for end in (*self._endings, *self._followed.values()):
            end()
        self._endings.clear()
        self._followed.clear()
        self._conversation_id = None

    @contextmanager
    def _holding_news(self) -> Iterator[None]:
        """What comes meanwhile is shown after what was there before, so that no page sees a gap that is none."""
        self._held = []
        try:
            yield
        finally:
            held, self._held = self._held, None
            for frame in held:
                self.say(frame)

    def _show(self, frame: Frame) -> None:
        """A frame of a run that is followed, as it comes."""
        if self._held is None:
            self.say(frame)
        else:
            self._held.append(frame)

    async def _catch_up(self, run_id: uuid.UUID, *, after_seq: int) -> None:
        """What the page has not yet got of a run: from memory if it is this process's, else from the rows."""
        live = run_supervisor().live.get(run_id)
        if live is not None:
            if live.conversation_id != self._conversation_id:
                raise NotFound("This answer belongs to another conversation.")
            if live.started is not None:
                self.say(live.started)
            for fragment in live.log.after(after_seq):
                self.say(delta_frame(run_id, fragment))
            return
        await database_sync_to_async(_check_owner)(run_id, self.person_id)
        if run_id not in self._followed:
            # Joined before the rows are read, so that nothing falls between; what comes twice has the same number.
            self._followed[run_id] = followers().follow(run_id, self._show, self._ended)
        for fragment in await database_sync_to_async(services.stored_fragments)(run_id, after_seq=after_seq):
            self.say(delta_frame(run_id, fragment))

    def _ended(self, run_id: uuid.UUID) -> None:
        self._followed.pop(run_id, None)
        self._in_background(self._say_end(run_id))

    async def _say_end(self, run_id: uuid.UUID) -> None:
        await database_sync_to_async(_check_owner)(run_id, self.person_id)
        frame = await database_sync_to_async(frames.ended_frame)(run_id)
        if frame is not None:
            self.say(frame)

    def _from_thread(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(lambda: self._in_background(self._look_for_turns()))

    async def _look_for_turns(self) -> None:
        """Another tab or process began a turn here: the page fetches it."""
        conversation_id = self._conversation_id
        if conversation_id is None:
            return
        version = await database_sync_to_async(_version)(conversation_id)
        self.say({"t": "changed", "c": str(conversation_id), "version": version})

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _readable(conversation_id: uuid.UUID, person_id: int) -> Conversation:
    services.settle_stale_runs(conversation_id=conversation_id)
    found = Conversation.objects.readable_by(person_id).filter(pk=conversation_id).first()
    if found is None:
        raise NotFound("There is no such conversation.")
    return found


def _check_owner(run_id: uuid.UUID, person_id: int) -> None:
    if not Run.objects.filter(pk=run_id, message__conversation__owner_id=person_id).exists():
        raise NotFound("There is no such answer.")


def _version(conversation_id: uuid.UUID) -> int | None:
    return Conversation.objects.filter(pk=conversation_id).values_list("version", flat=True).first()
