"""Frames of `/ws/chat/` (subprotocol architect.chat.1): foreign JSON in, typed values; rows in, frames out."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.template.loader import render_to_string
from django.urls import reverse

from architect.chat.models import ACTIVE, Conversation, Message, Run, RunState
from architect.chat.queries import turn_view
from architect.chat.services import Turn

SUBPROTOCOL = "architect.chat.1"


class BadFrame(ValueError):
    """A frame that lacks a field or has one of the wrong type; the text says which."""


@dataclass(frozen=True, slots=True)
class Open:
    conversation_id: uuid.UUID
    seen: dict[uuid.UUID, int]


@dataclass(frozen=True, slots=True)
class Send:
    conversation_id: uuid.UUID | None
    client_id: uuid.UUID
    text: str
    model: str


@dataclass(frozen=True, slots=True)
class Resume:
    run_id: uuid.UUID
    after_seq: int


def parse_open(frame: Mapping[str, Any]) -> Open:
    seen = frame.get("runs", {})
    if not isinstance(seen, dict):
        raise BadFrame("`runs` is an object of run id and number.")
    return Open(_uuid(frame, "c"), {_as_uuid(run, "runs"): _whole(seq, "runs") for run, seq in seen.items()})


def parse_send(frame: Mapping[str, Any]) -> Send:
    text = frame.get("text")
    model = frame.get("model") or "auto"
    if not isinstance(text, str) or not isinstance(model, str):
        raise BadFrame("`text` and `model` are texts.")
    return Send(_uuid(frame, "c") if frame.get("c") else None, _uuid(frame, "id"), text, model)


def parse_resume(frame: Mapping[str, Any]) -> Resume:
    return Resume(_uuid(frame, "run"), _whole(frame.get("after_seq"), "after_seq"))


def parse_run(frame: Mapping[str, Any]) -> uuid.UUID:
    return _uuid(frame, "run")


def parse_conversation(frame: Mapping[str, Any]) -> uuid.UUID:
    return _uuid(frame, "c")


def opened_frame(conversation: Conversation, runs: Iterable[Run]) -> dict[str, Any]:
    """The conversation as it stands; the fragments of its active runs follow."""
    return {
        "t": "opened",
        "c": str(conversation.pk),
        "version": conversation.version,
        "leaf": str(conversation.active_leaf_id),
        "runs": [{"run": str(run.pk), "message": str(run.message_id), "state": run.state} for run in runs],
    }


def accepted_frame(turn: Turn, *, client_id: uuid.UUID) -> dict[str, Any]:
    """The two new turns as the page shows them."""
    both = Message.objects.filter(pk__in=[turn.user_message_id, turn.message_id])
    rows = list(both.select_related("run", "conversation").order_by("depth"))
    return {
        "t": "accepted",
        "c": str(turn.conversation_id),
        "title": rows[0].conversation.title,
        "url": reverse("chat:conversation", args=[turn.conversation_id]),
        "id": str(client_id),
        "user_message": str(turn.user_message_id),
        "message": str(turn.message_id),
        "run": str(turn.run_id),
        "html": "".join(turn_html(row) for row in rows),
        "version": rows[0].conversation.version,
    }


def ended_frame(run_id: uuid.UUID) -> dict[str, Any] | None:
    """`done`, `stopped`, `failed` or `interrupted` with the whole turn; it closes any gap. None while it runs."""
    run = Run.objects.select_related("message__conversation").filter(pk=run_id).first()
    if run is None or run.state in ACTIVE:
        return None
    frame: dict[str, Any] = {
        "t": run.state,
        "run": str(run.pk),
        "message": str(run.message_id),
        "seq": run.last_seq,
        "html": turn_html(run.message),
        "words": len(run.message.content.split()),
        "version": run.message.conversation.version,
    }
    if run.state != RunState.DONE:
        frame["error"] = {"kind": run.error_kind, "text": run.error_text, "retry": "same"}
    return frame


def turn_html(message: Message) -> str:
    return render_to_string("chat/_turn.html", {"turn": turn_view(message)})


def _uuid(frame: Mapping[str, Any], field: str) -> uuid.UUID:
    return _as_uuid(frame.get(field), field)


def _as_uuid(value: object, field: str) -> uuid.UUID:
    try:
        return uuid.UUID(str(value))
    except ValueError:
        raise BadFrame(f"`{field}` is not an id.") from None


def _whole(value: object, field: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise BadFrame(f"`{field}` is a whole number from 0.")
    return value
