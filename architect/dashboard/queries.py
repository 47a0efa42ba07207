"""What the home page shows, in dataclasses."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from django.db.models import Count, Q, QuerySet, Sum
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from architect.jobs.models import Job, JobState
from architect.lib.figures import UNKNOWN, duration, token_count
from llm_providers.adapters.registry import adapters
from llm_providers.models import Provider, Request
from llm_providers.models.provider import Health
from llm_providers.words import event_in_words


@dataclass(frozen=True, slots=True)
class ProviderState:
    name: str
    title: str
    is_local: bool
    status: str
    status_text: str
    models: list[str]
    is_test: bool
    checked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Today:
    """Requests since midnight in the person's zone; answers of the test model are not counted."""

    requests: int
    local_share: str
    input_tokens: str
    output_tokens: str
    ttft_median: str


@dataclass(frozen=True, slots=True)
class RequestLine:
    public_id: str
    at: datetime
    purpose: str
    served_by: str
    state: str
    ttft: str
    total: str
    tokens: str


@dataclass(frozen=True, slots=True)
class Attention:
    text: str
    url: str | None


@dataclass(frozen=True, slots=True)
class HomeState:
    sentence: str
    tone: str
    providers: list[ProviderState]
    today: Today
    last_requests: list[RequestLine]
    needs_attention: list[Attention]


def home_state(*, user_id: int, sees_all: bool) -> HomeState:
    """`sees_all`: figures and requests of everybody, else the person's own."""
    providers = [_provider_state(row) for row in Provider.objects.prefetch_related("served_models", "breakers")]
    requests = Request.objects.all() if sees_all else Request.objects.filter(owner_id=user_id)
    sentence, tone = _state_sentence(providers)
    return HomeState(
        sentence=sentence,
        tone=tone,
        providers=providers,
        today=_today(requests),
        last_requests=[_line(row) for row in requests.order_by("-started_at")[:8]],
        needs_attention=list(_attention(providers)),
    )


def _provider_state(row: Provider) -> ProviderState:
    offered = [model for model in row.served_models.all() if model.missing_since is None]
    return ProviderState(
        name=row.name,
        title=_("Built-in engine") if row.is_engine else adapters()[row.kind].title,
        is_local=row.is_local,
        status=row.health if row.is_on else "off",
        status_text=row.health_text or _left_alone(row),
        models=[model.name for model in offered],
        is_test=any(model.is_test for model in offered),
        checked_at=row.checked_at,
    )


def _left_alone(row: Provider) -> str:
    """Why no request goes there now, though the server answers."""
    closed = [breaker for breaker in row.breakers.all() if breaker.keeps_away]
    if not closed:
        return ""
    breaker = closed[0]
    what = breaker.model or _("It")
    if breaker.forced:
        return _("%(what)s is kept out of use by an operator.") % {"what": what}
    why = event_in_words(breaker.reason)
    return _("%(what)s is left alone for a while: %(why)s.") % {"what": what, "why": why}


def _state_sentence(providers: list[ProviderState]) -> tuple[str, str]:
    """(sentence, tone) for the top of the page."""
    taking_part = [provider for provider in providers if provider.status not in ("off", Health.ABSENT)]
    up = [provider for provider in taking_part if provider.status == Health.UP]
    if not taking_part:
        return _("No model is set up yet"), "warning"
    if not up:
        return _("No model answers"), "danger"
    counted = ngettext("%(up)s of %(all)s provider up", "%(up)s of %(all)s providers up", len(taking_part)) % {
        "up": len(up),
        "all": len(taking_part),
    }
    where = _("all local") if all(provider.is_local for provider in up) else _("local and remote")
    tone = "success" if len(up) == len(taking_part) else "warning"
    return f"{counted}, {where}", tone


def _today(requests: QuerySet[Request]) -> Today:
    midnight = localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    today = requests.filter(started_at__gte=midnight, is_test=False)
    sums = today.aggregate(
        requests=Count("pk"),
        answered=Count("pk", filter=~Q(served_by="")),
        local=Count("pk", filter=Q(is_local=True)),
        input_tokens=Sum("input_tokens"),
        output_tokens=Sum("output_tokens"),
    )
    # The newest thousand are enough for a median, and a busy day costs no more than a quiet one.
    newest = today.exclude(ttft_ms=None).order_by("-started_at").values_list("ttft_ms", flat=True)[:1000]
    waits = [wait for wait in newest if wait is not None]
    share = f"{sums['local'] * 100 // sums['answered']} %" if sums["answered"] else UNKNOWN
    return Today(
        requests=sums["requests"],
        local_share=share,
        input_tokens=f"{sums['input_tokens'] or 0:,}",
        output_tokens=f"{sums['output_tokens'] or 0:,}",
        ttft_median=duration(median(waits)) if waits else UNKNOWN,
    )


def _line(row: Request) -> RequestLine:
    both = [row.input_tokens, row.output_tokens]
    tokens = None if None in both else sum(filter(None, both))
    return RequestLine(
        public_id=row.public_id,
        at=row.started_at,
        purpose=row.purpose,
        served_by=row.served_by,
        state=row.state,
        ttft=duration(row.ttft_ms),
        total=duration(row.total_ms),
        tokens=token_count(tokens, source=row.usage_source),
    )


def _attention(providers: list[ProviderState]) -> Iterable[Attention]:
    for provider in providers:
        if provider.status == Health.DOWN:
            yield Attention(f"{provider.name}: {provider.status_text or _('does not answer')}", None)
    failed = Job.objects.filter(state=JobState.FAILED).count()
    if failed:
        yield Attention(
            ngettext("%(n)s background job failed", "%(n)s background jobs failed", failed) % {"n": failed}, None
        )
