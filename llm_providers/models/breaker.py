from typing import ClassVar

from django.db import models
from django.utils import timezone

from llm_providers.models.provider import Provider


class Breaker(models.Model):
    """Whether an endpoint, or one model there, counts as broken. No row is a closed one that nothing ever happened to.

    All changes are single conditional UPDATEs whose row count tells who won; `epoch` rises with each transition.
    """

    provider = models.ForeignKey(Provider, on_delete=models.CASCADE, related_name="breakers")
    scope = models.CharField(max_length=10, choices=[("endpoint", "endpoint"), ("model", "model")])
    model = models.CharField(max_length=200, blank=True, default="")
    state = models.CharField(
        max_length=10,
        choices=[("closed", "closed"), ("open", "open"), ("half_open", "half open")],
        default="closed",
    )
    forced = models.CharField(max_length=10, null=True, blank=True, choices=[("open", "open"), ("closed", "closed")])
    epoch = models.PositiveIntegerField(default=0)
    consecutive_failures = models.PositiveIntegerField(default=0)
    trial_successes = models.PositiveIntegerField(default=0)
    open_count = models.PositiveIntegerField(default=0)
    opened_at = models.DateTimeField(null=True)
    open_until = models.DateTimeField(null=True)
    probation_until = models.DateTimeField(null=True)
    lease_token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    reason = models.CharField(max_length=40, blank=True, default="")

    class Meta:
        ordering: ClassVar = ["provider", "scope", "model"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["scope", "provider", "model"], name="one_breaker_per_target"),
            models.CheckConstraint(
                condition=~models.Q(state="open") | models.Q(open_until__isnull=False), name="open_until_a_time"
            ),
            models.CheckConstraint(
                condition=~models.Q(state="half_open") | models.Q(lease_token__isnull=False), name="half_open_by_lease"
            ),
        ]

    @property
    def keeps_away(self) -> bool:
        """Whether requests pass its target over; a half-open one lets one through."""
        return self.forced == "open" or (self.forced is None and self.state != "closed")

    def __str__(self) -> str:
        return f"{self.provider.name}/{self.model}" if self.model else self.provider.name


class BreakerEvent(models.Model):
    """A transition, kept for good; without an actor it was the breaker's own."""

    breaker = models.ForeignKey(Breaker, on_delete=models.CASCADE, related_name="events")
    from_state = models.CharField(max_length=10)
    to_state = models.CharField(max_length=10)
    at = models.DateTimeField(default=timezone.now)
    reason = models.CharField(max_length=40, blank=True, default="")
    actor_name = models.CharField(max_length=150, blank=True, default="")

    class Meta:
        ordering: ClassVar = ["-at"]

    def __str__(self) -> str:
        return f"{self.from_state} -> {self.to_state}"


class RateGate(models.Model):
    """Until when a provider asked not to be called. That it is busy with others says nothing about its health."""

    provider = models.OneToOneField(Provider, on_delete=models.CASCADE, related_name="gate")
    until = models.DateTimeField()
    reason = models.CharField(max_length=20)
    strikes = models.PositiveIntegerField(default=0, help_text="Refusals without a hint since the last answer.")

    def __str__(self) -> str:
        return f"{self.provider.name} until {self.until:%H:%M:%S}"
