"""What a refusal teaches about a model: that it is not there, or how long a text it really takes."""

from django.utils.timezone import now

from llm_providers.errors import Event, ProviderFailure
from llm_providers.models import ServedModel
from llm_providers.routing.candidates import Target
from llm_providers.routing.keeper import configuration_changed

_TEACHING = (Event.MODEL_MISSING, Event.CONTEXT_LENGTH)


def teaches(failure: ProviderFailure) -> bool:
    return failure.event in _TEACHING


def learn(target: Target, failure: ProviderFailure) -> None:
    """Keeps it until the provider lists the model again, or with another length."""
    rows = ServedModel.objects.filter(provider__name=target.provider.name, name=target.model.name)
    changed = 0
    if failure.event is Event.MODEL_MISSING:
        changed = rows.filter(missing_since=None).update(missing_since=now())
    if failure.event is Event.CONTEXT_LENGTH and failure.context_limit:
        limit = failure.context_limit
        changed = rows.exclude(observed_context=limit).update(observed_context=limit)
    if changed:
        configuration_changed()
