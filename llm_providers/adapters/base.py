"""What every adapter is: a connection, a guard at the socket, and the calls that its wire has."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import ClassVar

from llm_providers.errors import BadRequest, PrivacyViolation
from llm_providers.types import AdapterEvent, ChatCall, EmbedCall, Embeddings, ModelDescription, PrivacyLabel


@dataclass(frozen=True, slots=True)
class Connection:
    """Where a provider is and what may be sent there; `secret` is the credential itself, kept out of every repr."""

    provider: str
    base_url: str
    is_local: bool
    accepts_up_to: PrivacyLabel
    secret: str | None = field(default=None, repr=False)
    connect_timeout_s: float = 1.0


class Adapter:
    """The code for one kind of provider.

    A subclass in a file of its own in this package is all that a new kind needs: `registry` finds it by `kind`.
    It raises `ProviderFailure` and nothing else. `chat` ends with `Finished` or raises; it never just ends.
    """

    kind: ClassVar[str] = ""
    title: ClassVar[str] = ""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def chat(self, call: ChatCall) -> AsyncGenerator[AdapterEvent, None]:
        """The answer as typed events, always streamed from the provider."""
        self._guard(call.privacy)
        return self._chat(call)

    async def embed(self, call: EmbedCall) -> Embeddings:
        self._guard(call.privacy)
        return await self._embed(call)

    async def models(self) -> tuple[ModelDescription, ...]:
        """What the provider offers; a free call that loads nothing."""
        raise NotImplementedError

    async def probe(self) -> None:
        """A free call that returns when the provider is up and raises `ProviderFailure` when it is not."""
        await self.models()

    async def loaded_models(self) -> frozenset[str] | None:
        """Names of the models that are in memory now, by a free call; None where the provider does not tell."""
        return None

    def _chat(self, call: ChatCall) -> AsyncGenerator[AdapterEvent, None]:
        raise BadRequest(f"{self.title} does not chat")

    async def _embed(self, call: EmbedCall) -> Embeddings:
        raise BadRequest(f"{self.title} does not embed")

    def _guard(self, privacy: PrivacyLabel) -> None:
        """Reached only by a bug in routing: nothing leaves that the target may not have."""
        if self.connection.accepts_up_to.rank < privacy.rank:
            raise PrivacyViolation(f"{privacy} text was about to go to {self.connection.provider}")
