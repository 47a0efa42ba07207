"""What became of the free calls, kept as counts per minute, hour and day, so that a page never reads single calls."""

from datetime import datetime, timedelta
from enum import StrEnum

from django.db import transaction
from django.db.models import F

from llm_providers.models import Provider
from llm_providers.models.probe import ProbeBucket, ProbeRollup

SLOW_S = 1.0
_KEPT = {ProbeBucket.MINUTE: timedelta(days=2), ProbeBucket.HOUR: timedelta(days=90)}


class Beat(StrEnum):
    UP = "up"
    SLOW = "slow"
    DOWN = "down"


@transaction.atomic
def count(provider: Provider, beat: Beat, *, at: datetime) -> None:
    """Adds one call to the minute, the hour and the day (UTC) in which it was made."""
    for bucket, starts_at in _spans(at).items():
        row, _made = ProbeRollup.objects.get_or_create(provider=provider, bucket=bucket, starts_at=starts_at)
        ProbeRollup.objects.filter(pk=row.pk).update(**{beat.value: F(beat.value) + 1})


def forget_old(*, at: datetime) -> None:
    """Minutes go after two days, hours after ninety; days stay."""
    for bucket, kept in _KEPT.items():
        ProbeRollup.objects.filter(bucket=bucket, starts_at__lt=at - kept).delete()


def _spans(at: datetime) -> dict[ProbeBucket, datetime]:
    minute = at.replace(second=0, microsecond=0)
    hour = minute.replace(minute=0)
    return {ProbeBucket.MINUTE: minute, ProbeBucket.HOUR: hour, ProbeBucket.DAY: hour.replace(hour=0)}
