import logging

from architect.jobs.registry import job, periodic
from llm_providers.health.discovery import discover
from llm_providers.models import Provider
from llm_providers.records import sweeper

logger = logging.getLogger(__name__)


@job(queue="quick")
def discover_models(provider_id: int) -> None:
    """Asks one provider what it offers, soon after somebody added or changed it."""
    for provider in Provider.objects.filter(pk=provider_id):
        discover(provider)


@periodic(every_s=10)
def sweep_records() -> None:
    sweeper.sweep()


@periodic(every_s=30)
def discover_all_models() -> None:
    """Asks each in turn; whatever goes wrong with one must not keep the others from being asked."""
    for provider in Provider.objects.exclude(base_url=""):
        if not provider.is_on:
            continue
        try:
            discover(provider)
        except Exception:
            logger.exception("Provider %s could not be asked for its models", provider)
