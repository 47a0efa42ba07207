"""Whether a model has to be loaded before it can answer. Loading is slow, and being slow then is no failure."""

import asyncio
import logging
from functools import cache

from llm_providers.errors import ProviderFailure
from llm_providers.routing.candidates import Target
from llm_providers.routing.connections import adapter_for

logger = logging.getLogger(__name__)
_REMEMBERED_S = 60.0
_PATIENCE_S = 1.0


class Residency:
    """What this process knows of models in memory. A server is asked only about a model that was silent for a minute,
    and by a call that is free.
    """

    def __init__(self) -> None:
        self._answered_at: dict[str, float] = {}

    def answered(self, target: Target) -> None:
        self._answered_at[target.label] = asyncio.get_running_loop().time()

    async def must_load(self, target: Target) -> bool:
        """False where nobody knows. Asked before the call, because a server lists a model as soon as it begins to
        load it.
        """
        answered_at = self._answered_at.get(target.label)
        if answered_at is not None and asyncio.get_running_loop().time() - answered_at < _REMEMBERED_S:
            return False
        try:
            async with asyncio.timeout(_PATIENCE_S):
                loaded = await adapter_for(target.provider).loaded_models()
        except (ProviderFailure, TimeoutError) as failure:
            logger.info("Nobody knows whether %s is loaded: %r", target.label, failure)
            return False
        name = target.model.name
        return loaded is not None and not loaded & {name, f"{name}:latest"}


@cache
def residency() -> Residency:
    """The one of this process."""
    return Residency()
