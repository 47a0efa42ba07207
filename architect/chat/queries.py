"""What the chat pages show, read from the rows and shaped for templates and frames."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby

from django.conf import settings
from django.db.models import Exists, OuterRef
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe
from django.utils.timezone import localdate
from django.utils.translation import gettext as _

from architect.chat.fragments import REASONING, TEXT, joined
from architect.chat.models import Conversation, Message, MessageState, Run
from architect.chat.prompts import path_ids
from architect.chat.services import stored_fragments
from architect.lib import markdown
from architect.lib.figures import duration, rate, token_count
from llm_providers.routing.keeper import snapshot_keeper
from llm_providers.routing.snapshot import ProviderEntry
from llm_providers.types import Capability
from llm_providers.words import trail_sentences


@dataclass(frozen=True, slots=True)
class ConversationEntry:
    id: uuid.UUID
    title: str
    url: str
    is_current: bool
    is_running: bool


@dataclass(frozen=True, slots=True)
class Summary:
    """What stands beneath an answer, in words."""

    is_local: bool | None
    provider: str
    model: str
    asked: str
    tokens_in: str
    tokens_out: str
    ttft: str
    tokens_per_s: str
    cost: str
    is_test: bool
    trail: tuple[str, ...]
    request_id: str


@dataclass(frozen=True, slots=True)
class TurnView:
    message_id: uuid.UUID
    role: str
    html: SafeString
    text: str
    reasoning: str
    state: str
    seq: int
    run_id: str
    heading: str
    error_text: str
    summary: Summary | None


@dataclass(frozen=True, slots=True)
class ModelChoice:
    value: str
    label: str
    detail: str
    disabled_reason: str


def conversation_groups(user_id: int, *, current: uuid.UUID | None) -> list[tuple[str, list[ConversationEntry]]]:
    """The newest 100 conversations of a person under the day they were last used."""
    running = Run.objects.active().filter(message__conversation=OuterRef("pk"))
    mine = Conversation.objects.readable_by(user_id).filter(archived_at=None).annotate(is_running=Exists(running))
    rows = mine.order_by("-last_message_at").values_list("id", "title", "last_message_at", "is_running")[:100]
    today = localdate()
    entries = [
        (
            _day_label(localdate(at), today=today),
            ConversationEntry(pk, title, reverse("chat:conversation", args=[pk]), pk == current, is_running),
        )
        for pk, title, at, is_running in rows
    ]
    return [(label, [entry for _, entry in group]) for label, group in groupby(entries, key=lambda pair: pair[0])]


def turns_of(conversation: Conversation) -> tuple[list[TurnView], int]:
    """(the last turns of the path that is shown, how many earlier ones there are)."""
    if conversation.active_leaf_id is None:
        return [], 0
    ids = path_ids(conversation.active_leaf_id)
    shown = ids[-settings.CHAT_PAGE_MESSAGES :]
    rows = Message.objects.filter(pk__in=shown).select_related("run").order_by("depth")
    return [turn_view(row) for row in rows], len(ids) - len(shown)


def earlier_turns(conversation: Conversation, *, before: uuid.UUID) -> tuple[list[TurnView], int]:
    """The 50 turns before the given one, and how many are earlier still."""
    ids = path_ids(conversation.active_leaf_id) if conversation.active_leaf_id else []
    if before not in ids:
        return [], 0
    until = ids.index(before)
    shown = ids[max(0, until - 50) : until]
    rows = Message.objects.filter(pk__in=shown).select_related("run").order_by("depth")
    return [turn_view(row) for row in rows], until - len(shown)


def turn_view(message: Message) -> TurnView:
    if not message.is_answer:
        return _person_turn(message)
    run = message.run
    is_streaming = message.state == MessageState.STREAMING
    # One read gives text and number, so that the numbered fragments that follow fit on exactly.
    stored = stored_fragments(run.pk) if is_streaming else []
    by = f"{run.provider_name} / {run.model_used}" if run.provider_name else ""
    return TurnView(
        message_id=message.pk,
        role="assistant",
        html=SafeString("") if is_streaming else _stored_html(message),
        text=joined(stored, TEXT) if is_streaming else message.content,
        reasoning=joined(stored, REASONING) if is_streaming else message.reasoning,
        state=message.state,
        seq=len(stored) if is_streaming else run.last_seq,
        run_id=str(run.pk),
        heading=_("Answer from %(by)s") % {"by": by} if by else _("Answer"),
        error_text=run.error_text,
        summary=summary_of(run) if run.provider_name and not is_streaming else None,
    )


def summary_of(run: Run) -> Summary:
    asked = run.model_asked not in ("auto", run.model_used, f"{run.provider_name}/{run.model_used}", run.provider_name)
    return Summary(
        is_local=run.is_local,
        provider=run.provider_name,
        model=run.model_used,
        asked=run.model_asked if asked else "",
        tokens_in=token_count(run.input_tokens, source=run.usage_source),
        tokens_out=token_count(run.output_tokens, source=run.usage_source),
        ttft=duration(run.ttft_ms),
        tokens_per_s=rate(run.tokens_per_s),
        cost="",
        is_test=run.is_test,
        trail=tuple(trail_sentences(run.trail)),
        request_id=run.request_id,
    )


def active_runs(conversation_id: uuid.UUID) -> list[Run]:
    return list(Run.objects.active().filter(message__conversation_id=conversation_id))


def model_choices() -> list[tuple[str, list[ModelChoice]]]:
    """`auto`, then what providers serve, local ones first."""
    groups: list[tuple[str, list[ModelChoice]]] = [("", [ModelChoice("auto", _("Automatic"), "", "")])]
    providers = snapshot_keeper().load().providers
    for label, is_local in ((_("On your machines"), True), (_("Remote"), False)):
        choices = [c for p in providers if p.is_local is is_local and p.is_on for c in _choices_of(p)]
        if choices:
            groups.append((label, choices))
    return groups


def _choices_of(provider: ProviderEntry) -> Iterable[ModelChoice]:
    for model in provider.models:
        if Capability.CHAT in model.capabilities:
            context = _("%(n)s tokens of context") % {"n": f"{model.context_length:,}"} if model.context_length else ""
            detail = _("random words, to try the plumbing") if model.is_test else context
            yield ModelChoice(f"{provider.name}/{model.name}", f"{provider.name} / {model.name}", detail, "")


def _person_turn(message: Message) -> TurnView:
    return TurnView(
        message_id=message.pk,
        role="user",
        html=_stored_html(message),
        text=message.content,
        reasoning="",
        state=message.state,
        seq=0,
        run_id="",
        heading=_("You"),
        error_text="",
        summary=None,
    )


def _stored_html(message: Message) -> SafeString:
    """The stored HTML, or a fresh one where the renderer has changed since."""
    if message.html_version == markdown.VERSION:
        return mark_safe(message.html)  # noqa: S308 - made by our renderer
    return markdown.to_html(message.content) if message.is_answer else markdown.plain_html(message.content)


def _day_label(day: date, *, today: date) -> str:
    if day == today:
        return _("Today")
    if day == today - timedelta(days=1):
        return _("Yesterday")
    if day > today - timedelta(days=7):
        return _("Previous 7 days")
    return day.strftime("%B %Y")
