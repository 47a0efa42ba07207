"""The rows of one call as plain values, and the only functions that write them. All run inside a group commit."""

from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from llm_providers.models import Attempt, AttemptState, Request, RequestContent, RequestState
from llm_providers.models.request import OPEN_STATES

LEASE = timedelta(seconds=15)


@dataclass(slots=True)
class AttemptRow:
    """Fields of `Attempt` under their own names."""

    ordinal: int
    provider: str
    served_model: str
    is_local: bool
    started_at: datetime
    state: str = AttemptState.SENT.value
    is_cold: bool = False
    answered_model: str = ""
    event: str = ""
    http_status: int | None = None
    provider_request_id: str = ""
    ttft_ms: int | None = None
    total_ms: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    error_text: str = ""


@dataclass(slots=True)
class ContentRow:
    """Fields of `RequestContent` that an answer fills."""

    answer: str = ""
    reasoning: str = ""
    tool_calls: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class FinalRows:
    """All that `finish` writes; it can be kept in a file and applied later, more than once without harm."""

    public_id: str
    request: dict[str, Any]
    content: ContentRow
    attempts: list[AttemptRow]


def insert_request(fields: dict[str, Any], prompt: Any) -> int:
    """The id of the new row."""
    request = Request.objects.create(**fields)
    RequestContent.objects.create(request=request, prompt=prompt)
    return request.pk


def is_on_record(public_id: str) -> bool:
    return Request.objects.filter(public_id=public_id).exists()


def insert_attempt(request_id: int, attempt: AttemptRow) -> None:
    Attempt.objects.create(request_id=request_id, **asdict(attempt))


def save_attempts(request_id: int, attempts: list[AttemptRow]) -> None:
    """Brings the row of each attempt up to date, or inserts it."""
    for attempt in attempts:
        values = asdict(attempt)
        ordinal = values.pop("ordinal")
        if not Attempt.objects.filter(request_id=request_id, ordinal=ordinal).update(**values):
            Attempt.objects.create(request_id=request_id, ordinal=ordinal, **values)


def checkpoint(public_id: str, *, content: ContentRow | None, at: datetime) -> None:
    """Renews the lease of a running request and keeps what has arrived; None: nothing has yet."""
    running = Request.objects.filter(public_id=public_id, state__in=OPEN_STATES)
    renewed = running.update(state=RequestState.RUNNING, lease_until=at + LEASE)
    if renewed and content is not None:
        RequestContent.objects.filter(request__public_id=public_id).update(**asdict(content))


def apply_final(final: FinalRows) -> None:
    """The end of a request. It wins over a sweeper that took the request for abandoned in the meantime."""
    request_id = Request.objects.values_list("pk", flat=True).get(public_id=final.public_id)
    Request.objects.filter(pk=request_id).update(**final.request, lease_until=None)
    RequestContent.objects.filter(pk=request_id).update(**asdict(final.content))
    save_attempts(request_id, final.attempts)
