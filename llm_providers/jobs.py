import logging
from datetime import timedelta

from django.conf import settings
from django.utils.timezone import now

from architect.jobs.registry import job, periodic
from llm_providers.health import heartbeats
from llm_providers.health.discovery import discover
from llm_providers.health.probing import probe_those_left_alone
from llm_providers.models import Provider
from llm_providers.records import sweeper

logger = logging.getLogger(__name__)


@job(queue="quick")
def discover_models(provider_id: int) -> None:
    """Asks one provider what it offers, soon after somebody added or changed it."""
    for provider in Provider.objects.filter(pk=provider_id):
        discover(provider)


@periodic(every_s=5)
def probe_local_targets() -> None:
    probe_those_left_alone(are_local=True, every=timedelta(seconds=5))


@periodic(every_s=30)
def probe_remote_targets() -> None:
    if settings.LLM_PROBE_REMOTE:
        probe_those_left_alone(are_local=False, every=timedelta(seconds=30))


@periodic(every_s=10)
def sweep_records() -> None:
    sweeper.sweep()


@periodic(every_s=3600)
def forget_old_heartbeats() -> None:
    heartbeats.forget_old(at=now())


@periodic(every_s=30)
def discover_all_models() -> None:
    """Asks each in turn; whatever goes wrong with one must not keep the others from being asked."""
    for provider in Provider.objects.exclude(base_url=""):
        if not provider.is_on or not (provider.is_local or settings.LLM_PROBE_REMOTE):
            continue
        try:
            discover(provider)
        except Exception:
            logger.exception("Provider %s could not be asked for its models", provider)
