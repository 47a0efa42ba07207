"""How long each event of one attempt is waited for: the first content, then each next piece, then the whole."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from django.conf import settings

from llm_providers.errors import DeadlineReached, Event, LLMError, ProviderFailure
from llm_providers.routing.snapshot import ProviderEntry
from llm_providers.types import AdapterEvent, Embeddings


@dataclass(frozen=True, slots=True)
class Patience:
    """`first_s` seconds for the first content; `is_cold`: most of them are for loading the model."""

    first_s: float
    is_cold: bool = False
    obeys_deadline: bool = True


class Clocks:
    """The clocks of one attempt, begun when it is made; `deadline` is a time of the running loop."""

    def __init__(self, provider: ProviderEntry, *, deadline: float, patience: Patience) -> None:
        self._loop = asyncio.get_running_loop()
        self._provider = provider
        self._patience = patience
        self._deadline = deadline if patience.obeys_deadline else float("inf")
        self._first_until = min(self._loop.time() + patience.first_s, self._deadline)
        self._answer_until: float | None = None

    def content_began(self) -> None:
        self._answer_until = self._loop.time() + settings.LLM_ANSWER_LIMIT_S

    async def next_of(
        self, events: AsyncGenerator[AdapterEvent | Embeddings, None]
    ) -> AdapterEvent | Embeddings | None:
        """The next event, or None at the end.

        Raises:
            ProviderFailure: nothing came in time.
            DeadlineReached: the whole chain, or the whole answer, has taken as long as it may.
        """
        try:
            async with asyncio.timeout_at(self._until()):
                return await anext(events, None)
        except TimeoutError:
            raise self._verdict() from None

    def _until(self) -> float:
        if self._answer_until is None:
            return self._first_until
        return min(self._loop.time() + self._provider.stall_timeout_s, self._answer_until)

    def _verdict(self) -> LLMError:
        now = self._loop.time()
        if self._answer_until is None:
            return self._nothing_began(now)
        if now >= self._answer_until:
            return DeadlineReached(f"The answer took longer than {settings.LLM_ANSWER_LIMIT_S:g} s.")
        return ProviderFailure(Event.STALL, f"nothing came for {self._provider.stall_timeout_s:g} s")

    def _nothing_began(self, now: float) -> LLMError:
        if now >= self._deadline:
            return DeadlineReached("No provider began to answer in the time that the caller allowed.")
        if self._patience.is_cold:
            return ProviderFailure(Event.LOADING, f"the model was not loaded within {self._patience.first_s:g} s")
        return ProviderFailure(Event.SLOW, f"no first word within {self._patience.first_s:g} s")
