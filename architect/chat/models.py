from datetime import datetime
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from architect.lib.ids import uuid7
from llm_providers.types import PrivacyLabel


def default_privacy() -> str:
    return PrivacyLabel.parse(settings.CHAT_DEFAULT_PRIVACY).value


def default_model() -> str:
    return str(settings.CHAT_DEFAULT_MODEL)


class ConversationQuerySet(models.QuerySet["Conversation"]):
    def readable_by(self, user_id: int | None) -> "ConversationQuerySet":
        """The only way in: a conversation is its owner's."""
        return self.filter(owner_id=user_id, deleted_at=None)


class Conversation(models.Model):
    """`version` rises with every change of structure; `active_leaf` is the end of the path that is shown."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="conversations")
    title = models.CharField(max_length=200)
    title_source = models.CharField(max_length=12, default="first_words")
    archived_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)
    privacy = models.CharField(max_length=10, default=default_privacy)
    model_asked = models.CharField(max_length=250, default=default_model)
    active_leaf = models.ForeignKey("Message", null=True, on_delete=models.SET_NULL, related_name="+")
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(default=timezone.now)
    last_message_at = models.DateTimeField(default=timezone.now)
    extra = models.JSONField(default=dict)

    objects = ConversationQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["owner", "archived_at", "-last_message_at"], name="conversations_of_person")
        ]

    def __str__(self) -> str:
        return self.title


class MessageState(models.TextChoices):
    STREAMING = "streaming"
    COMPLETE = "complete"
    STOPPED = "stopped"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class Message(models.Model):
    """One turn of the tree. `html` is made by the server from `content`, once, when the turn is complete."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="messages")
    parent = models.ForeignKey("self", null=True, on_delete=models.CASCADE, related_name="children")
    role = models.CharField(max_length=10)
    position = models.PositiveIntegerField()
    depth = models.PositiveIntegerField()
    content = models.TextField(blank=True, default="")
    reasoning = models.TextField(blank=True, default="")
    html = models.TextField(blank=True, default="")
    html_version = models.PositiveSmallIntegerField(default=0)
    state = models.CharField(max_length=12, choices=MessageState.choices, default=MessageState.COMPLETE)
    privacy = models.CharField(max_length=10, default=default_privacy)
    client_id = models.UUIDField(null=True)
    created_at = models.DateTimeField(default=timezone.now)
    extra = models.JSONField(default=dict)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["client_id"], name="a_send_counts_once"),
            models.UniqueConstraint(fields=["parent", "position"], name="siblings_are_numbered"),
            models.UniqueConstraint(
                fields=["conversation", "position"], condition=models.Q(parent=None), name="roots_are_numbered"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.role}: {self.content[:40]}"

    @property
    def is_answer(self) -> bool:
        return self.role == "assistant"


class RunState(models.TextChoices):
    QUEUED = "queued", _("waiting")
    RUNNING = "running", _("writing")
    DONE = "done", _("done")
    STOPPED = "stopped", _("stopped")
    FAILED = "failed", _("failed")
    INTERRUPTED = "interrupted", _("interrupted")


ACTIVE = (RunState.QUEUED.value, RunState.RUNNING.value)


class RunQuerySet(models.QuerySet["Run"]):
    def active(self) -> "RunQuerySet":
        return self.filter(state__in=ACTIVE)

    def stale(self, *, before: datetime) -> "RunQuerySet":
        """Active, but their process has not been heard of since `before`."""
        return self.active().filter(heartbeat_at__lt=before)


class Run(models.Model):
    """The making of one answer. What it took is copied here, so that it outlives the request's own record."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    message = models.OneToOneField(Message, on_delete=models.CASCADE, related_name="run")
    request_id = models.CharField(max_length=30, blank=True, default="")
    state = models.CharField(max_length=12, choices=RunState.choices, default=RunState.QUEUED)
    model_asked = models.CharField(max_length=250)
    owner_process = models.UUIDField(null=True)
    heartbeat_at = models.DateTimeField(default=timezone.now)
    stop_requested_at = models.DateTimeField(null=True)
    last_seq = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True)
    provider_name = models.CharField(max_length=50, blank=True, default="")
    model_used = models.CharField(max_length=200, blank=True, default="")
    is_local = models.BooleanField(null=True)
    is_test = models.BooleanField(default=False)
    input_tokens = models.PositiveIntegerField(null=True)
    output_tokens = models.PositiveIntegerField(null=True)
    usage_source = models.CharField(max_length=10, default="unknown")
    cost = models.DecimalField(max_digits=16, decimal_places=8, null=True)
    ttft_ms = models.PositiveIntegerField(null=True)
    total_ms = models.PositiveIntegerField(null=True)
    tokens_per_s = models.FloatField(null=True)
    trail = models.JSONField(default=list)
    error_kind = models.CharField(max_length=40, blank=True, default="")
    error_text = models.TextField(blank=True, default="")

    objects = RunQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["heartbeat_at"], condition=models.Q(state__in=["queued", "running"]), name="run_active"
            )
        ]

    def __str__(self) -> str:
        return f"run {self.id} ({self.state})"

    @property
    def is_active(self) -> bool:
        return self.state in ACTIVE


class Delta(models.Model):
    """Fragments `first_seq` to `last_seq` of a run that is under way, as [["t", text], ["r", reasoning], …]."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="deltas")
    first_seq = models.PositiveIntegerField()
    last_seq = models.PositiveIntegerField()
    fragments = models.JSONField()

    class Meta:
        ordering: ClassVar = ["run", "first_seq"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["run", "first_seq"], name="fragments_are_stored_once")]

    def __str__(self) -> str:
        return f"{self.first_seq}–{self.last_seq} of {self.run_id}"
