from architect.jobs.registry import job, periodic
from llm_providers.health.discovery import discover
from llm_providers.models import Provider
from llm_providers.records import sweeper


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
    for provider in Provider.objects.exclude(base_url=""):
        if provider.is_on:
            discover(provider)
