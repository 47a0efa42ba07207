"""Free calls to targets that are left alone, so that no request is spent on finding out that they are still broken."""

import asyncio
import logging
from collections.abc import Iterable
from datetime import timedelta

from asgiref.sync import async_to_sync
from django.utils.timezone import now

from llm_providers.errors import ProviderFailure
from llm_providers.health.breakers import make_eligible, put_off
from llm_providers.models import Provider
from llm_providers.routing.connections import adapter_for
from llm_providers.routing.keeper import provider_entry
from llm_providers.routing.snapshot import ProviderEntry

logger = logging.getLogger(__name__)
_PATIENCE_S = 2.0


def probe_those_left_alone(*, are_local: bool, every: timedelta) -> None:
    """Called `every` so often. Who answers may be tried, who does not is left alone at least until the next round.

    Where nothing calls it, the periods of the breakers alone decide.
    """
    open_ones = Provider.objects.filter(is_local=are_local, breakers__state="open").distinct()
    rows = [row for row in open_ones if row.is_on and row.base_url]
    found = async_to_sync(_all_answer)([provider_entry(row) for row in rows])
    for row, answers_now in zip(rows, found, strict=True):
        if isinstance(answers_now, BaseException):
            logger.error("Provider %s could not be asked", row, exc_info=answers_now)
        elif answers_now:
            make_eligible(row)
        else:
            put_off(row, due_before=now() + 1.5 * every, until=now() + 3 * every)


async def _all_answer(providers: Iterable[ProviderEntry]) -> list[bool | BaseException]:
    return await asyncio.gather(*map(answers, providers), return_exceptions=True)


async def answers(provider: ProviderEntry) -> bool:
    """Whether a free call is answered within two seconds."""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await adapter_for(provider).probe()
    except (ProviderFailure, TimeoutError):
        return False
    return True
