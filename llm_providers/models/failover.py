from django.db import models


class FailoverSettings(models.Model):
    """The file's `failover:` block, in one row, so that all processes obey the same; the environment wins over it."""

    enabled = models.BooleanField(default=True)
    retry_on_error = models.BooleanField(default=True)
    max_retries = models.PositiveSmallIntegerField(default=2, help_text="For the whole chain, not for each provider.")
    failure_threshold = models.PositiveSmallIntegerField(null=True)
    recovery_timeout_s = models.FloatField(null=True, help_text="The longest time that a breaker stays open.")

    def __str__(self) -> str:
        return "failover"
