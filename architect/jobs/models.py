import uuid
from datetime import datetime, timedelta
from typing import ClassVar

from django.db import models
from django.db.models import F
from django.utils import timezone

LEASE = timedelta(seconds=30)
WAKE_AGAIN_AFTER = timedelta(seconds=10)


class JobState(models.TextChoices):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class JobQuerySet(models.QuerySet["Job"]):
    """Every change of state is one conditional update, whose count tells who won."""

    def claim(self, job_id: uuid.UUID, *, token: uuid.UUID, at: datetime) -> bool:
        """Takes a queued job that is due, for one lease."""
        due = self.filter(pk=job_id, state=JobState.QUEUED, run_at__lte=at)
        return bool(
            due.update(
                state=JobState.RUNNING,
                lease_token=token,
                lease_until=at + LEASE,
                started_at=at,
                attempts=F("attempts") + 1,
            )
        )

    def held_by(self, token: uuid.UUID) -> "JobQuerySet":
        return self.filter(lease_token=token, state=JobState.RUNNING)

    def abandoned(self, *, at: datetime) -> "JobQuerySet":
        """Running, but whoever ran it has not renewed its lease: that process is gone."""
        return self.filter(state=JobState.RUNNING, lease_until__lte=at)

    def unwoken(self, *, at: datetime) -> "JobQuerySet":
        """Due, and no wake-up of late: the message was lost, or it was never due before."""
        return self.filter(state=JobState.QUEUED, run_at__lte=at).filter(
            models.Q(woken_at=None) | models.Q(woken_at__lte=at - WAKE_AGAIN_AFTER)
        )


class Job(models.Model):
    """Background work that will be done although any process may be killed at any moment.

    It runs at least once, so what it does must be harmless to repeat. `kind` is a name in the registry.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=200)
    arguments = models.JSONField(default=dict)
    queue = models.CharField(max_length=20)
    state = models.CharField(max_length=10, choices=JobState.choices, default=JobState.QUEUED)
    attempts = models.PositiveIntegerField(default=0)
    run_at = models.DateTimeField(default=timezone.now)
    woken_at = models.DateTimeField(null=True, blank=True)
    lease_token = models.UUIDField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    error_text = models.TextField(blank=True, default="")

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at"]
        indexes: ClassVar = [
            models.Index(
                fields=["state", "run_at"], condition=models.Q(state__in=["queued", "running"]), name="job_open"
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} ({self.state})"
