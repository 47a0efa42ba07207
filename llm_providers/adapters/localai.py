"""LocalAI: the OpenAI form, with its own health and its own way to tell that it is starting."""

from typing import ClassVar

from llm_providers.adapters.exchange import Outgoing, exchange, whole_body
from llm_providers.adapters.openai_compatible import OpenAICompatibleAdapter


class LocalAIAdapter(OpenAICompatibleAdapter):
    """`base_url` ends with `/v1`; the health lies beside it, at the root of the server."""

    kind = "localai"
    title = "LocalAI"
    request_id_header: ClassVar[str] = "x-correlation-id"

    async def probe(self) -> None:
        """Up once it is ready: while it loads its first models the failure says so (`LOADING`)."""
        root = self.connection.base_url.removesuffix("/v1")
        outgoing = Outgoing("/readyz", base_url=root, headers=self._headers())
        async with exchange(self.connection, outgoing) as response:
            await whole_body(response)
