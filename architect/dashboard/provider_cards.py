"""What the providers page shows of each provider, in dataclasses; a handful of queries, however many there are."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Prefetch
from django.utils.timezone import localtime, now
from django.utils.translation import gettext as _

from architect.lib.figures import UNKNOWN, duration
from llm_providers.adapters.registry import adapters
from llm_providers.models import Attempt, AttemptState, Breaker, ProbeRollup, Provider, ServedModel
from llm_providers.models.probe import ProbeBucket
from llm_providers.switching import Switched
from llm_providers.words import event_in_words, reason_in_words

_BEATS = 60
_NEWEST_ATTEMPTS = 2000


@dataclass(frozen=True, slots=True)
class Beat:
    """One minute: `kind` is up, slow, down or unknown; `place` counts from the left."""

    place: int
    kind: str
    title: str


@dataclass(frozen=True, slots=True)
class BreakerLine:
    """A breaker that something happened to, in a sentence; `until` is when its target is tried again."""

    id: int
    text: str
    is_shut: bool
    is_forced: bool
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Card:
    name: str
    title: str
    is_local: bool
    accepts_up_to: str
    status: str
    status_text: str
    is_on: bool
    version: int
    differs: bool
    is_test: bool
    models: list[str]
    breakers: list[BreakerLine]
    gate: str
    gated_until: datetime | None
    beats: list[Beat]
    beats_label: str
    ttft_p50: str
    ttft_p95: str
    answers: int
    checked_at: datetime | None
    said: Switched | None = None


def provider_cards(*, only: str | None = None, said: Switched | None = None) -> list[Card]:
    """All cards in the order of priority, or the one named `only`; `said` is shown on the card of its provider."""
    offered = Prefetch("served_models", queryset=ServedModel.objects.filter(missing_since=None))
    rows = Provider.objects.select_related("gate").prefetch_related(offered, "breakers")
    if only is not None:
        rows = rows.filter(name=only)
    frozen_now = now()
    providers = list(rows)
    beats, waits = _beats(frozen_now), _first_token_waits(frozen_now)
    return [
        _card(row, beats.get(row.pk, {}), sorted(waits.get(row.name, ())), said=said, at=frozen_now)
        for row in providers
    ]


def _card(
    row: Provider, beats: Mapping[datetime, ProbeRollup], waits: Sequence[int], *, said: Switched | None, at: datetime
) -> Card:
    offered = list(row.served_models.all())
    gate = getattr(row, "gate", None)
    shut = gate if gate is not None and gate.until > at else None
    line = _heartbeat(beats, at)
    return Card(
        name=row.name,
        title=_("Built-in engine") if row.is_engine else adapters()[row.kind].title,
        is_local=row.is_local,
        accepts_up_to=row.accepts_up_to,
        status=row.health if row.is_on else "off",
        status_text=row.health_text if row.is_on else "",
        is_on=row.is_on,
        version=row.version,
        differs=row.differs_from_file,
        is_test=any(model.is_test for model in offered),
        models=[model.name for model in offered],
        breakers=[_breaker(one) for one in row.breakers.all() if one.keeps_away or one.forced],
        gate=reason_in_words(shut.reason) if shut else "",
        gated_until=shut.until if shut else None,
        beats=line,
        beats_label=_heartbeat_in_words(line),
        ttft_p50=duration(_percentile(waits, 50)) if waits else UNKNOWN,
        ttft_p95=duration(_percentile(waits, 95)) if waits else UNKNOWN,
        answers=len(waits),
        checked_at=row.checked_at,
        said=said if said is not None and said.provider.pk == row.pk else None,
    )


def _breaker(row: Breaker) -> BreakerLine:
    what = row.model or _("The whole server")
    if row.forced == "open":
        text = _("%(what)s is kept out of use by an operator.")
    elif row.forced == "closed":
        text = _("%(what)s is always called, by an operator's word.")
    elif row.state == "half_open":
        text = _("%(what)s is being tried out: %(why)s.")
    else:
        text = _("%(what)s is left alone: %(why)s.")
    told = text % {"what": what, "why": event_in_words(row.reason)}
    until = row.open_until if row.state == "open" and row.forced is None else None
    return BreakerLine(row.pk, told, is_shut=row.keeps_away, is_forced=row.forced is not None, until=until)


def _beats(at: datetime) -> Mapping[int, Mapping[datetime, ProbeRollup]]:
    """By provider and minute."""
    found: dict[int, dict[datetime, ProbeRollup]] = defaultdict(dict)
    since = at - timedelta(minutes=_BEATS)
    for row in ProbeRollup.objects.filter(bucket=ProbeBucket.MINUTE, starts_at__gte=since):
        found[row.provider_id][row.starts_at] = row
    return found


def _heartbeat(beats: Mapping[datetime, ProbeRollup], at: datetime) -> list[Beat]:
    newest = at.replace(second=0, microsecond=0)
    minutes = [newest - timedelta(minutes=ago) for ago in reversed(range(_BEATS))]
    return [_beat(place, minute, beats.get(minute)) for place, minute in enumerate(minutes)]


def _beat(place: int, minute: datetime, row: ProbeRollup | None) -> Beat:
    kind = "unknown"
    if row is not None:
        kind = "down" if row.down else "slow" if row.slow else "up"
    words = {"up": _("up"), "slow": _("slow"), "down": _("down"), "unknown": _("not checked")}
    return Beat(place, kind, f"{localtime(minute):%H:%M} {words[kind]}")


def _heartbeat_in_words(beats: Iterable[Beat]) -> str:
    kinds = [beat.kind for beat in beats]
    counted = {kind: kinds.count(kind) for kind in ("up", "slow", "down")}
    if not sum(counted.values()):
        return _("Last hour: not checked")
    return _("Last hour by the minute: %(up)s up, %(slow)s slow, %(down)s down") % counted


def _first_token_waits(at: datetime) -> Mapping[str, Sequence[int]]:
    """Milliseconds to the first token of the newest answers of a day, by provider."""
    answered = Attempt.objects.filter(started_at__gte=at - timedelta(days=1), state=AttemptState.OK)
    found: dict[str, list[int]] = defaultdict(list)
    newest = answered.order_by("-started_at").values_list("provider", "ttft_ms")[:_NEWEST_ATTEMPTS]
    for provider, ttft_ms in newest:
        if ttft_ms is not None:
            found[provider].append(ttft_ms)
    return found


def _percentile(ordered: Sequence[int], percent: int) -> int:
    """By the nearest rank."""
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]
