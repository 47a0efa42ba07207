"""What the pages of requests show: a filtered list, page by page, and one request with all that became of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.db.models import Q
from django.utils.translation import gettext as _

from architect.accounts.models import User
from architect.lib.figures import duration, token_count
from llm_providers.models import Attempt, Provider, Request, RequestContent, RequestState
from llm_providers.models.request import RequestQuerySet
from llm_providers.types import PrivacyLabel, Purpose
from llm_providers.words import event_in_words, fallback_in_words, trail_sentences

PAGE = 50
_COUNTED = 10_000
_WHERE = {"local": True, "remote": False}


@dataclass(frozen=True, slots=True)
class Choice:
    value: str
    text: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Filter:
    """A select of the filter form; `chosen` is the text of what is filtered by, `without` the address of the list
    without it.
    """

    name: str
    title: str
    choices: list[Choice]
    chosen: str
    without: str


@dataclass(frozen=True, slots=True)
class Line:
    public_id: str
    at: datetime
    owner: str
    purpose: str
    privacy: str
    served_by: str
    is_local: bool | None
    is_test: bool
    fallback_reason: str
    state: str
    ttft: str
    total: str
    tokens: str


@dataclass(frozen=True, slots=True)
class Listed:
    """One page, newest first; `older` and `newer` are the queries of its neighbours, empty at the ends."""

    lines: list[Line]
    filters: list[Filter]
    total: str
    query: str
    older: str
    newer: str
    newest: str
    is_filtered: bool


@dataclass(frozen=True, slots=True)
class AttemptLine:
    ordinal: int
    target: str
    answered_model: str
    is_local: bool
    is_cold: bool
    state: str
    event: str
    http_status: int | None
    provider_request_id: str
    ttft: str
    total: str
    tokens: str
    complaint: str


@dataclass(frozen=True, slots=True)
class Shown:
    """One request; `content` is None for those who may not read it."""

    line: Line
    wanted_model: str
    finished_at: datetime | None
    input_tokens: str
    output_tokens: str
    cached_tokens: int | None
    reasoning_tokens: int | None
    usage_source: str
    trail: list[str]
    attempts: list[AttemptLine]
    content: RequestContent | None


def list_requests(person: User, wishes: Mapping[str, str]) -> Listed:
    """`wishes` is the address's query: one value per filter, and `before` or `after` a request's id."""
    filters = _filters(wishes)
    chosen = {one.name: wishes[one.name] for one in filters if one.chosen}
    if wishes.get("q"):
        chosen["q"] = wishes["q"].strip()
    found = _filtered(Request.objects.visible_to(person), chosen)
    rows, has_older, has_newer = _page_of(found, wishes)
    query = urlencode(chosen)
    return Listed(
        lines=[_line(row) for row in rows],
        filters=filters,
        total=_total(found),
        query=query,
        older=urlencode({**chosen, "before": rows[-1].public_id}) if has_older else "",
        newer=urlencode({**chosen, "after": rows[0].public_id}) if has_newer else "",
        newest=rows[0].public_id if rows and not has_newer else "",
        is_filtered=bool(chosen),
    )


def newer_requests(person: User, wishes: Mapping[str, str], *, than: str) -> int:
    """How many have come since the request `than`, at most a hundred."""
    found = _filtered(Request.objects.visible_to(person), wishes)
    newest = Request.objects.filter(public_id=than).first()
    return _beyond(found, newest, is_newer=True)[:100].count() if newest else 0


def show_request(person: User, public_id: str) -> Shown:
    """Raises Request.DoesNotExist where there is none, or none for this person."""
    row = Request.objects.visible_to(person).select_related("owner", "content").get(public_id=public_id)
    is_open = row.is_open_to(person)
    return Shown(
        line=_line(row),
        wanted_model=row.wanted_model,
        finished_at=row.finished_at,
        input_tokens=token_count(row.input_tokens, source=row.usage_source),
        output_tokens=token_count(row.output_tokens, source=row.usage_source),
        cached_tokens=row.cached_tokens,
        reasoning_tokens=row.reasoning_tokens,
        usage_source=row.usage_source,
        trail=trail_sentences(row.trail),
        attempts=[_attempt(one, is_open=is_open) for one in row.attempts.all()],
        content=getattr(row, "content", None) if is_open else None,
    )


def _filters(wishes: Mapping[str, str]) -> list[Filter]:
    names = list(Provider.objects.values_list("name", flat=True))
    states = [state.value for state in RequestState if state is not RequestState.BEGUN]
    return [
        _filter("state", _("State"), states, wishes),
        _filter("provider", _("Answered by"), names, wishes),
        _filter("where", _("Where"), _WHERE, wishes),
        _filter("purpose", _("Purpose"), [purpose.value for purpose in Purpose], wishes),
        _filter("privacy", _("Privacy"), [label.value for label in PrivacyLabel], wishes),
    ]


def _filter(name: str, title: str, values: Iterable[str], wishes: Mapping[str, str]) -> Filter:
    wished = wishes.get(name, "")
    choices = [Choice(value, value.replace("_", " "), is_chosen=value == wished) for value in values]
    others = {key: value for key, value in wishes.items() if value and key not in (name, "before", "after")}
    chosen = next((choice.text for choice in choices if choice.is_chosen), "")
    return Filter(name, title, choices, chosen, without=urlencode(others))


def _filtered(found: RequestQuerySet, chosen: Mapping[str, str]) -> RequestQuerySet:
    wanted: dict[str, Any] = {name: chosen[name] for name in ("state", "purpose", "privacy") if chosen.get(name)}
    if chosen.get("provider"):
        wanted["served_by__startswith"] = f"{chosen['provider']}/"
    if chosen.get("where") in _WHERE:
        wanted["is_local"] = _WHERE[chosen["where"]]
    if chosen.get("q"):
        wanted["public_id__startswith"] = chosen["q"]
    return found.filter(**wanted)


def _page_of(found: RequestQuerySet, wishes: Mapping[str, str]) -> tuple[list[Request], bool, bool]:
    """(the rows, whether there are older ones, whether there are newer ones)."""
    edge = Request.objects.filter(public_id=wishes.get("before") or wishes.get("after") or "").first()
    is_newer = edge is not None and not wishes.get("before")
    beyond = _beyond(found, edge, is_newer=is_newer) if edge else found
    order = ("started_at", "pk") if is_newer else ("-started_at", "-pk")
    rows = list(beyond.select_related("owner").order_by(*order)[: PAGE + 1])
    has_more = len(rows) > PAGE
    rows = rows[:PAGE]
    if is_newer:
        return rows[::-1], True, has_more
    return rows, has_more, edge is not None


def _beyond(found: RequestQuerySet, edge: Request | None, *, is_newer: bool) -> RequestQuerySet:
    if edge is None:
        return found
    side = "gt" if is_newer else "lt"
    same_moment = Q(started_at=edge.started_at, **{f"pk__{side}": edge.pk})
    # The first condition is the one that an index answers.
    return found.filter(
        Q(**{f"started_at__{side}e": edge.started_at}),
        Q(**{f"started_at__{side}": edge.started_at}) | same_moment,
    )


def _total(found: RequestQuerySet) -> str:
    counted = found.order_by()[: _COUNTED + 1].count()
    return _("more than %(n)s") % {"n": f"{_COUNTED:,}"} if counted > _COUNTED else f"{counted:,}"


def _line(row: Request) -> Line:
    both = [row.input_tokens, row.output_tokens]
    tokens = None if None in both else sum(filter(None, both))
    return Line(
        public_id=row.public_id,
        at=row.started_at,
        owner=row.owner.username if row.owner else row.principal,
        purpose=row.purpose,
        privacy=row.privacy,
        served_by=row.served_by,
        is_local=row.is_local,
        is_test=row.is_test,
        fallback_reason=fallback_in_words(row.fallback_reason) if row.served_by else "",
        state=row.state,
        ttft=duration(row.ttft_ms),
        total=duration(row.total_ms),
        tokens=token_count(tokens, source=row.usage_source),
    )


def _attempt(row: Attempt, *, is_open: bool) -> AttemptLine:
    both = [row.input_tokens, row.output_tokens]
    tokens = None if None in both else sum(filter(None, both))
    return AttemptLine(
        ordinal=row.ordinal,
        target=f"{row.provider}/{row.served_model}",
        answered_model=row.answered_model if row.answered_model != row.served_model else "",
        is_local=row.is_local,
        is_cold=row.is_cold,
        state=row.state,
        event=event_in_words(row.event) if row.event else "",
        http_status=row.http_status,
        provider_request_id=row.provider_request_id,
        ttft=duration(row.ttft_ms),
        total=duration(row.total_ms),
        tokens="–" if tokens is None else f"{tokens:,}",
        complaint=row.error_text if is_open else "",
    )
