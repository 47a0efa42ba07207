"""What a web process does when it starts and before it ends (ASGI lifespan; uvicorn speaks it, daphne does not)."""

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from channels.db import database_sync_to_async
from django.conf import settings
from django.db import Error as DatabaseFailure

from architect.chat.runs import run_supervisor
from architect.chat.services import settle_stale_runs
from architect.lib.group_commit import group_commit
from architect.lib.outbound import http_client
from architect.live.watcher import watcher
from llm_providers.adapters.registry import adapters
from llm_providers.records import sweeper
from llm_providers.routing.keeper import snapshot_keeper

logger = logging.getLogger(__name__)
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Lifespan:
    async def __call__(self, _scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self._start()
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self._end()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _start(self) -> None:
        """Settles what a killed process left; a database that is not there yet is no reason not to start."""
        for work in (sweeper.sweep, settle_stale_runs, snapshot_keeper().load):
            try:
                await database_sync_to_async(work)()
            except DatabaseFailure:
                logger.exception("The database does not answer; the pages will say so until it does")
                return
        # The first answer need not wait for the imports that open a connection.
        adapters()
        await http_client(is_local=True)

    async def _end(self) -> None:
        await run_supervisor().shut_down(grace_s=settings.CHAT_SHUTDOWN_GRACE_S)
        group_commit().close()
        watcher().close()
