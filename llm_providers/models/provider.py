from typing import ClassVar

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator, URLValidator
from django.db import models

from llm_providers.adapters.registry import adapters
from llm_providers.types import Capability, PrivacyLabel

ENGINE = "engine"


def kind_choices() -> list[tuple[str, str]]:
    return [(kind, adapter.title) for kind, adapter in adapters().items()]


class Health(models.TextChoices):
    UNKNOWN = "unknown"
    UP = "up"
    DOWN = "down"
    ABSENT = "absent"
    """Nobody set it up here, or it is not needed: nothing is wrong, and nothing answers."""


class Provider(models.Model):
    """A configured system that serves models. Its secret is named, never stored."""

    name = models.SlugField(unique=True, max_length=50)
    kind = models.CharField(max_length=40, choices=kind_choices)
    base_url = models.CharField(
        max_length=500,
        blank=True,
        validators=[URLValidator(schemes=["http", "https"], message="Write it as http://host:port/v1.")],
        help_text="Where the API is, with /v1 for OpenAI-compatible servers.",
    )
    secret_env = models.CharField(
        max_length=100,
        blank=True,
        default="",
        validators=[RegexValidator(r"^[A-Za-z_][A-Za-z0-9_]*$", "Name a variable, such as OPENAI_API_KEY.")],
        help_text="The name of the environment variable that holds the key, never the key.",
    )
    is_local = models.BooleanField(
        default=False, help_text="Declared by you: the endpoint runs on the team's own machines."
    )
    accepts_up_to = models.CharField(
        max_length=10,
        choices=[(label.value, label.value) for label in PrivacyLabel],
        default=PrivacyLabel.INTERNAL.value,
        help_text="The strictest texts that may be sent there; private is for local providers only.",
    )
    default_model = models.CharField(max_length=200, blank=True, default="")
    enabled = models.BooleanField(default=True)
    enabled_override = models.BooleanField(
        null=True, blank=True, help_text="An operator's switch; it wins over what the file declares."
    )
    is_declared = models.BooleanField(default=False, editable=False)
    priority = models.IntegerField(default=100, help_text="Lower is asked first.")
    timeout_s = models.FloatField(null=True, blank=True, help_text="Patience for the first word of a loaded model.")
    settings = models.JSONField(default=dict, blank=True)
    health = models.CharField(max_length=10, choices=Health.choices, default=Health.UNKNOWN, editable=False)
    health_text = models.CharField(max_length=500, blank=True, default="", editable=False)
    checked_at = models.DateTimeField(null=True, blank=True, editable=False)
    version = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        ordering: ClassVar = ["priority", "name"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(is_local=True) | ~models.Q(accepts_up_to=PrivacyLabel.PRIVATE.value),
                name="private_texts_stay_local",
                violation_error_message="A remote provider can't accept private texts.",
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_on(self) -> bool:
        """Whether it takes part: the operator's switch, or else what was declared."""
        return self.enabled if self.enabled_override is None else self.enabled_override

    @property
    def is_engine(self) -> bool:
        return self.name == ENGINE

    @property
    def differs_from_file(self) -> bool:
        """An operator switched it other than its file says."""
        return self.is_declared and self.is_on != self.enabled

    def clean(self) -> None:
        if self.name == ENGINE and self.pk is None:
            raise ValidationError({"name": "This name belongs to the built-in engine."})
        self.base_url = self.base_url.rstrip("/")


class ServedModelQuerySet(models.QuerySet["ServedModel"]):
    def of_others_than_the_engine(self) -> "ServedModelQuerySet":
        """Real models that were ever seen, the missing ones included."""
        return self.exclude(provider__name=ENGINE)


class ServedModel(models.Model):
    """A model that a provider offers. Lengths in tokens."""

    provider = models.ForeignKey(Provider, on_delete=models.CASCADE, related_name="served_models")
    name = models.CharField(max_length=200)
    capabilities = models.JSONField(default=list)
    context_length = models.PositiveIntegerField(null=True, blank=True)
    observed_context = models.PositiveIntegerField(null=True, blank=True, help_text="As a refusal told it.")
    max_output = models.PositiveIntegerField(null=True, blank=True)
    embedding_space = models.CharField(max_length=200, blank=True, default="")
    is_remote = models.BooleanField(default=False)
    is_test = models.BooleanField(default=False)
    missing_since = models.DateTimeField(null=True, blank=True)
    seen_at = models.DateTimeField()

    objects = ServedModelQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["provider", "name"], name="one_row_per_served_model")]

    def __str__(self) -> str:
        return f"{self.provider.name}/{self.name}"

    @property
    def chats(self) -> bool:
        return Capability.CHAT.value in self.capabilities
