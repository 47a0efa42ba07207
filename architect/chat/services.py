"""What happens to a conversation: a turn begins, is stopped, ends, or is found abandoned."""

import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Max, Q, QuerySet
from django.utils.timezone import now

from architect.chat.errors import EmptyMessage, NotFound, RunActive, TooLong, TooManyRuns
from architect.chat.fragments import REASONING, TEXT, Fragment, joined
from architect.chat.models import ACTIVE, Conversation, Delta, Message, MessageState, Run, RunState
from architect.lib import markdown
from architect.lib.storable import storable
from architect.live.services import touch

_TITLE_LENGTH = 60
_MODEL_LENGTH = 250


@dataclass(frozen=True, slots=True)
class Turn:
    """A person's message and the answer that is being made to it."""

    conversation_id: uuid.UUID
    user_message_id: uuid.UUID
    message_id: uuid.UUID
    run_id: uuid.UUID
    is_new: bool
    is_waiting: bool
    """No process has taken the run up yet."""


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a run ended; `summary` holds fields of `Run` under their own names."""

    state: RunState
    text: str
    reasoning: str = ""
    error_kind: str = ""
    error_text: str = ""
    summary: dict[str, Any] = field(default_factory=dict)


def topic_of(owner_id: int) -> str:
    """What a person's open chat pages watch: a turn began or ended somewhere."""
    return f"chat.{owner_id}"


def begin_turn(
    *, owner_id: int, conversation_id: uuid.UUID | None, client_id: uuid.UUID, text: str, model: str
) -> Turn:
    """Stores the message, the empty answer and the run. The same `client_id` again returns the same rows.

    Raises:
        ChatError: nothing was stored.
    """
    text, model = storable(text).strip(), storable(model)[:_MODEL_LENGTH]
    _check_text(text)
    repeated = _turn_of(owner_id, client_id)
    if repeated is not None:
        return repeated
    try:
        with transaction.atomic():
            conversation = _conversation_for(owner_id, conversation_id, text=text, model=model)
            _check_runs(conversation)
            return _add_turn(conversation, text=text, client_id=client_id, model=model)
    except IntegrityError:
        # The same send arrived twice at once, and the other one was quicker.
        repeated = _turn_of(owner_id, client_id)
        if repeated is None:
            raise
        return repeated


def request_stop(run_id: uuid.UUID, *, owner_id: int) -> None:
    """Asks the run to end; the process that owns it sees this at its next flush. A second request is harmless.

    Raises:
        NotFound: it is not this person's run.
    """
    mine = Run.objects.filter(pk=run_id, message__conversation__owner_id=owner_id)
    if not mine.exists():
        raise NotFound("There is no such answer.")
    mine.active().filter(stop_requested_at=None).update(stop_requested_at=now())


def take_up(run_id: uuid.UUID, *, process: uuid.UUID) -> bool:
    """This process makes the answer from here on; False when the run has been stopped or taken meanwhile."""
    queued = Run.objects.filter(pk=run_id, state=RunState.QUEUED)
    return bool(queued.update(state=RunState.RUNNING, owner_process=process, heartbeat_at=now()))


def html_of(end: RunEnd) -> str:
    """The answer as it is shown. It can take a while, so it is made before the transaction that stores it."""
    return markdown.to_html(storable(end.text))


def end_run(run_id: uuid.UUID, end: RunEnd, *, html: str, by: uuid.UUID | None = None) -> bool:
    """Writes how the run ended and its whole text; False when somebody else had settled it before.

    `by`: the process that makes the answer. Its word wins over that of a sweeper who took it for dead.
    """
    not_settled = Q(state__in=ACTIVE)
    if by is not None:
        not_settled |= Q(state=RunState.INTERRUPTED, owner_process=by)
    return _settle(Run.objects.filter(not_settled, pk=run_id), end, html=html)


@transaction.atomic
def _settle(unsettled: QuerySet[Run], end: RunEnd, *, html: str) -> bool:
    """Ends the one run of the set; whoever comes second finds the set empty."""
    run = unsettled.select_related("message__conversation").first()
    if run is None or not unsettled.update(
        state=end.state,
        finished_at=now(),
        error_kind=end.error_kind,
        error_text=end.error_text,
        **end.summary,
    ):
        return False
    Message.objects.filter(pk=run.message_id).update(
        content=storable(end.text),
        reasoning=storable(end.reasoning),
        html=html,
        html_version=markdown.VERSION,
        state=_message_state(end.state),
    )
    run.deltas.all().delete()
    Conversation.objects.filter(pk=run.message.conversation_id).update(version=F("version") + 1)
    touch(topic_of(run.message.conversation.owner_id))
    return True


def store_fragments(
    deltas: Iterable[Delta], *, running: Iterable[uuid.UUID], columns: Mapping[uuid.UUID, Mapping[str, Any]]
) -> set[uuid.UUID]:
    """Keeps fragments and heartbeats of all runs of a process, in the caller's transaction; returns who is to stop.

    `columns`: fields of `Run` that have become known since, such as who serves it.
    """
    active = set(Run.objects.active().filter(pk__in=running).values_list("pk", flat=True))
    # A commit whose outcome was never heard may have stored the first of them; the longer piece then takes its place.
    Delta.objects.bulk_create(
        [delta for delta in deltas if delta.run_id in active],
        update_conflicts=True,
        unique_fields=["run", "first_seq"],
        update_fields=["last_seq", "fragments"],
    )
    for run_id, known in columns.items():
        Run.objects.filter(pk=run_id).update(**known)
    mine = Run.objects.filter(pk__in=running)
    mine.update(heartbeat_at=now())
    return set(mine.exclude(stop_requested_at=None).values_list("pk", flat=True))


def settle_stale_runs(*, conversation_id: uuid.UUID | None = None, run_id: uuid.UUID | None = None) -> int:
    """Ends runs whose process is gone, with the text that was stored; harmless to call from everywhere."""
    before = now() - timedelta(seconds=settings.CHAT_HEARTBEAT_STALE_S)
    stale = Run.objects.stale(before=before)
    if conversation_id is not None:
        stale = stale.filter(message__conversation_id=conversation_id)
    if run_id is not None:
        stale = stale.filter(pk=run_id)
    return sum(_interrupt(found, stale_before=before) for found in stale.values_list("pk", flat=True)[:200])


def _interrupt(run_id: uuid.UUID, *, stale_before: datetime) -> bool:
    stored = stored_fragments(run_id)
    end = RunEnd(
        state=RunState.INTERRUPTED,
        text=joined(stored, TEXT),
        reasoning=joined(stored, REASONING),
        error_kind="interrupted",
        error_text="The program was restarted while this answer was being written.",
        summary={"last_seq": stored[-1].seq if stored else 0},
    )
    # Fragments that were stored since came with a heartbeat, so the run is no longer found here.
    return _settle(Run.objects.stale(before=stale_before).filter(pk=run_id), end, html=html_of(end))


def stored_fragments(run_id: uuid.UUID, *, after_seq: int = 0) -> list[Fragment]:
    """The stored fragments of a run under way that come after `after_seq`; none once it has ended."""
    found: list[Fragment] = []
    stored = Delta.objects.filter(run_id=run_id, last_seq__gt=after_seq).order_by("first_seq")
    for first_seq, pieces in stored.values_list("first_seq", "fragments"):
        numbered = (Fragment(first_seq + place, kind, text) for place, (kind, text) in enumerate(pieces))
        found.extend(fragment for fragment in numbered if fragment.seq > after_seq)
    return found


def first_words(text: str) -> str:
    """A title: the first sentence without Markdown signs, at most 60 characters."""
    plain = re.sub(r"[`*_#>\[\]]+", "", text).strip()
    sentence = re.split(r"(?<=[.!?])\s|\n", plain, maxsplit=1)[0].strip() or "New conversation"
    return sentence if len(sentence) <= _TITLE_LENGTH else f"{sentence[: _TITLE_LENGTH - 1].rstrip()}…"


def _check_text(text: str) -> None:
    if not text:
        raise EmptyMessage("Write something first.")
    if len(text) > settings.CHAT_MAX_MESSAGE_CHARS:
        raise TooLong(
            f"The message has {len(text):,} characters; {settings.CHAT_MAX_MESSAGE_CHARS:,} is the limit "
            "(CHAT_MAX_MESSAGE_CHARS)."
        )


def _turn_of(owner_id: int, client_id: uuid.UUID) -> Turn | None:
    """The turn that this `client_id` has made before."""
    sent = Message.objects.filter(conversation__owner_id=owner_id, client_id=client_id, role="user").first()
    answer = sent.children.select_related("run").order_by("position").first() if sent else None
    if sent is None or answer is None:
        return None
    is_waiting = answer.run.state == RunState.QUEUED
    return Turn(sent.conversation_id, sent.pk, answer.pk, answer.run.pk, is_new=False, is_waiting=is_waiting)


def _conversation_for(owner_id: int, conversation_id: uuid.UUID | None, *, text: str, model: str) -> Conversation:
    """The person's conversation, locked for this transaction where the database locks rows; or a new one."""
    if conversation_id is None:
        return Conversation.objects.create(owner_id=owner_id, title=first_words(text), model_asked=model)
    readable = Conversation.objects.readable_by(owner_id).select_for_update()
    found = readable.filter(pk=conversation_id).first()
    if found is None:
        raise NotFound("There is no such conversation.")
    return found


def _check_runs(conversation: Conversation) -> None:
    settle_stale_runs(conversation_id=conversation.pk)
    active = Run.objects.active()
    if active.filter(message__conversation=conversation).exists():
        raise RunActive("An answer is still being written here. Wait for it, or stop it first.")
    if active.filter(message__conversation__owner_id=conversation.owner_id).count() >= settings.CHAT_MAX_RUNS_PER_USER:
        raise TooManyRuns(
            f"{settings.CHAT_MAX_RUNS_PER_USER} answers are being written for you already "
            "(CHAT_MAX_RUNS_PER_USER). Stop one, or wait."
        )


def _add_turn(conversation: Conversation, *, text: str, client_id: uuid.UUID, model: str) -> Turn:
    frozen_now = now()
    parent = conversation.active_leaf
    common = {"conversation": conversation, "privacy": conversation.privacy, "created_at": frozen_now}
    sent = Message.objects.create(
        **common,
        parent=parent,
        role="user",
        position=_next_position(conversation, parent),
        depth=parent.depth + 1 if parent else 0,
        content=text,
        html=markdown.plain_html(text),
        html_version=markdown.VERSION,
        client_id=client_id,
    )
    answer = Message.objects.create(
        **common, parent=sent, role="assistant", position=0, depth=sent.depth + 1, state=MessageState.STREAMING
    )
    run = Run.objects.create(message=answer, model_asked=model)
    Conversation.objects.filter(pk=conversation.pk).update(
        active_leaf=answer, model_asked=model, version=F("version") + 1, last_message_at=frozen_now
    )
    touch(topic_of(conversation.owner_id))
    return Turn(conversation.pk, sent.pk, answer.pk, run.pk, is_new=True, is_waiting=True)


def _next_position(conversation: Conversation, parent: Message | None) -> int:
    last: int | None = conversation.messages.filter(parent=parent).aggregate(last=Max("position"))["last"]
    return 0 if last is None else last + 1


def _message_state(state: RunState) -> MessageState:
    return MessageState.COMPLETE if state is RunState.DONE else MessageState(state.value)
