from typing import ClassVar

from django.conf import settings
from django.db import models

from architect.accounts.models import User
from llm_providers.types import PrivacyLabel


class RequestState(models.TextChoices):
    BEGUN = "begun"
    RUNNING = "running"
    OK = "ok"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


OPEN_STATES = (RequestState.BEGUN.value, RequestState.RUNNING.value)


class AttemptState(models.TextChoices):
    SENT = "sent"
    STREAMING = "streaming"
    OK = "ok"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"


class UsageSource(models.TextChoices):
    """Where the token counts come from: the provider's own, our estimate, or nobody knows."""

    REPORTED = "reported"
    ESTIMATED = "estimated"
    UNKNOWN = "unknown"


class RequestQuerySet(models.QuerySet["Request"]):
    def visible_to(self, person: User) -> "RequestQuerySet":
        """Everybody's for those who may see figures, else the person's own; content is another question."""
        return self if person.has_perm("llm_providers.view_request") else self.filter(owner=person)


class Request(models.Model):
    """One logical call. Written by `llm_providers.records` alone; times in milliseconds, tokens as counted.

    `trail` holds one entry per candidate in order, also the skipped ones; neither text of the prompt nor words of a
    provider.
    """

    public_id = models.CharField(max_length=30, unique=True)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    principal = models.CharField(max_length=40)
    purpose = models.CharField(max_length=20)
    capability = models.CharField(max_length=20)
    privacy = models.CharField(max_length=10, choices=[(label.value, label.value) for label in PrivacyLabel])
    wanted_model = models.CharField(max_length=250)
    state = models.CharField(max_length=12, choices=RequestState.choices, default=RequestState.BEGUN)
    served_by = models.CharField(max_length=250, blank=True, default="")
    is_local = models.BooleanField(null=True)
    is_test = models.BooleanField(default=False)
    fallback_reason = models.CharField(max_length=500, blank=True, default="")
    started_at = models.DateTimeField()
    first_content_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    ttft_ms = models.PositiveIntegerField(null=True)
    total_ms = models.PositiveIntegerField(null=True)
    input_tokens = models.PositiveIntegerField(null=True)
    output_tokens = models.PositiveIntegerField(null=True)
    cached_tokens = models.PositiveIntegerField(null=True)
    reasoning_tokens = models.PositiveIntegerField(null=True)
    usage_source = models.CharField(max_length=10, choices=UsageSource.choices, default=UsageSource.UNKNOWN)
    cost = models.DecimalField(max_digits=16, decimal_places=8, null=True)
    saved = models.DecimalField(max_digits=16, decimal_places=8, null=True)
    trail = models.JSONField(default=list)
    continues = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="+")
    lease_until = models.DateTimeField(null=True)

    objects = RequestQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-started_at", "-pk"]
        indexes: ClassVar = [
            models.Index(fields=["-started_at", "-id"], name="request_newest"),
            models.Index(fields=["owner", "-started_at"], name="request_of_owner"),
            models.Index(fields=["lease_until"], condition=models.Q(state__in=OPEN_STATES), name="request_open"),
        ]

    def __str__(self) -> str:
        return self.public_id

    def is_open_to(self, person: User) -> bool:
        """Whether `person` may read the content: one's own, and others' with the permission, but private texts."""
        if self.owner_id == person.pk:
            return True
        return self.privacy != PrivacyLabel.PRIVATE.value and person.has_perm("llm_providers.read_content")


class RequestContent(models.Model):
    """What was asked and answered, apart from the narrow row so that lists stay quick.

    `prompt` is the list of messages (for embeddings: of inputs), with pictures replaced by their type and size.
    """

    request = models.OneToOneField(Request, on_delete=models.CASCADE, primary_key=True, related_name="content")
    prompt = models.JSONField()
    answer = models.TextField(blank=True, default="")
    reasoning = models.TextField(blank=True, default="")
    tool_calls = models.JSONField(default=list)

    class Meta:
        permissions: ClassVar = [("read_content", "Can read what others asked and were answered, but private texts")]

    def __str__(self) -> str:
        return f"content of {self.request_id}"


class Attempt(models.Model):
    """One try of one provider. `event` is what happened there (`errors.Event`), empty when it answered.

    `error_text` is the provider's complaint. It may quote the prompt, so it is content: shown to those whom
    `Request.is_open_to` admits.
    """

    request = models.ForeignKey(Request, on_delete=models.CASCADE, related_name="attempts")
    ordinal = models.PositiveSmallIntegerField()
    provider = models.CharField(max_length=50)
    served_model = models.CharField(max_length=200)
    answered_model = models.CharField(max_length=200, blank=True, default="")
    is_local = models.BooleanField()
    is_cold = models.BooleanField(default=False, help_text="The model had to be loaded first.")
    state = models.CharField(max_length=10, choices=AttemptState.choices, default=AttemptState.SENT)
    event = models.CharField(max_length=30, blank=True, default="")
    http_status = models.PositiveSmallIntegerField(null=True)
    provider_request_id = models.CharField(max_length=200, blank=True, default="")
    started_at = models.DateTimeField()
    ttft_ms = models.PositiveIntegerField(null=True)
    total_ms = models.PositiveIntegerField(null=True)
    input_tokens = models.PositiveIntegerField(null=True)
    output_tokens = models.PositiveIntegerField(null=True)
    cost = models.DecimalField(max_digits=16, decimal_places=8, null=True)
    error_text = models.TextField(blank=True, default="")

    class Meta:
        ordering: ClassVar = ["request_id", "ordinal"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["request", "ordinal"], name="attempts_are_numbered")]
        indexes: ClassVar = [models.Index(fields=["-started_at"], name="attempt_newest")]

    def __str__(self) -> str:
        return f"attempt {self.ordinal} of {self.request_id} at {self.provider}"
