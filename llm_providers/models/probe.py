from typing import ClassVar

from django.db import models

from llm_providers.models.provider import Provider


class ProbeBucket(models.TextChoices):
    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"


class ProbeRollup(models.Model):
    """How often the free calls to a provider in one span of time were answered, answered slowly, or not at all."""

    provider = models.ForeignKey(Provider, on_delete=models.CASCADE, related_name="probes")
    bucket = models.CharField(max_length=6, choices=ProbeBucket.choices)
    starts_at = models.DateTimeField()
    up = models.PositiveIntegerField(default=0)
    slow = models.PositiveIntegerField(default=0)
    down = models.PositiveIntegerField(default=0)

    class Meta:
        ordering: ClassVar = ["starts_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bucket", "provider", "starts_at"], name="one_rollup_of_probes_a_span")
        ]
        indexes: ClassVar = [models.Index(fields=["bucket", "starts_at"], name="probes_by_time")]

    def __str__(self) -> str:
        return f"{self.provider.name} at {self.starts_at:%Y-%m-%d %H:%M}"
