"""Looks at local providers every second while somebody has a page open that shows them.

A look is a free call. Several web processes may look at the same time, which is cheaper than agreeing on one of them.
"""

import asyncio

from channels.db import database_sync_to_async

from llm_providers.health.discovery import discover
from llm_providers.health.probing import answers
from llm_providers.models import Provider
from llm_providers.models.provider import Health
from llm_providers.routing.keeper import provider_entry
from llm_providers.routing.snapshot import ProviderEntry

EVERY_S = 1.0


async def look_at_local_providers() -> None:
    """Brings up to date whoever has come or gone since the last look."""
    rows = await database_sync_to_async(_local_ones)()
    found = await asyncio.gather(*(answers(entry) for _, entry in rows))
    for (row, _), answers_now in zip(rows, found, strict=True):
        if answers_now != (row.health == Health.UP):
            await database_sync_to_async(discover)(row)


def _local_ones() -> list[tuple[Provider, ProviderEntry]]:
    rows = Provider.objects.filter(is_local=True).exclude(base_url="")
    return [(row, provider_entry(row)) for row in rows if row.is_on]
