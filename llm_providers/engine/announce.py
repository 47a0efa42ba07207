"""How the engine's process tells the rest of the product where it listens and what it serves."""

from django.db import transaction

from llm_providers.health.discovery import save_health, save_models
from llm_providers.models import Provider, ServedModel
from llm_providers.models.provider import ENGINE, Health
from llm_providers.routing.keeper import configuration_changed
from llm_providers.types import Capability, ModelDescription, PrivacyLabel


@transaction.atomic
def announce(*, base_url: str, model: str, is_test: bool, context_length: int | None, sees_images: bool) -> None:
    """The engine answers at `base_url` (ending with /v1) with `model`; from now on routing knows it."""
    engine = _engine_row()
    capabilities = {Capability.CHAT, Capability.TOOLS, Capability.JSON_SCHEMA}
    if sees_images:
        capabilities.add(Capability.VISION)
    Provider.objects.filter(pk=engine.pk).update(base_url=base_url, default_model=model)
    save_models(engine, [ModelDescription(model, frozenset(capabilities), context_length)], is_test=is_test)
    save_health(engine, Health.UP, "")
    configuration_changed()


@transaction.atomic
def withdraw(*, problem: str, health: Health = Health.DOWN) -> None:
    """The engine does not answer; `problem` says why in a sentence. Its models are not offered any more."""
    engine = _engine_row()
    Provider.objects.filter(pk=engine.pk).update(base_url="")
    save_models(engine, [])
    save_health(engine, health, problem)
    configuration_changed()


def other_models_seen() -> bool:
    """Whether any provider but the engine ever served a model."""
    return ServedModel.objects.of_others_than_the_engine().exists()


def _engine_row() -> Provider:
    engine, _made = Provider.objects.get_or_create(
        name=ENGINE,
        defaults={
            "kind": "openai_compatible",
            "is_local": True,
            "accepts_up_to": PrivacyLabel.PRIVATE,
            "priority": 900,
        },
    )
    return engine
