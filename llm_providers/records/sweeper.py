"""Settles what a killed process left open, and brings in what could only be spooled."""

import logging
from datetime import datetime

from django.db import transaction
from django.utils.timezone import now

from llm_providers.accounting.tokens import estimated_tokens
from llm_providers.models import Attempt, AttemptState, Request, RequestContent, RequestState
from llm_providers.models.request import OPEN_STATES, UsageSource
from llm_providers.records import spool

logger = logging.getLogger(__name__)


def sweep() -> None:
    """Harmless to run twice and at once in several processes."""
    spool.bring_in()
    frozen_now = now()
    lost = Request.objects.filter(state__in=OPEN_STATES, lease_until__lte=frozen_now).values_list("pk", flat=True)
    for request_id in lost[:1000]:
        _interrupt(request_id, at=frozen_now)


@transaction.atomic
def _interrupt(request_id: int, *, at: datetime) -> None:
    taken = Request.objects.filter(pk=request_id, state__in=OPEN_STATES, lease_until__lte=at)
    if not taken.update(state=RequestState.INTERRUPTED, finished_at=at, lease_until=None):
        return
    content = RequestContent.objects.get(pk=request_id)
    written = estimated_tokens(content.answer) + estimated_tokens(content.reasoning)
    Request.objects.filter(pk=request_id).update(output_tokens=written, usage_source=UsageSource.ESTIMATED)
    unfinished = Attempt.objects.filter(request_id=request_id, state__in=(AttemptState.SENT, AttemptState.STREAMING))
    unfinished.update(
        state=AttemptState.PARTIAL if written else AttemptState.FAILED,
        error_text="The process that made this call ended before the answer did.",
    )
    logger.warning("Request %s was interrupted: its process is gone", request_id)
