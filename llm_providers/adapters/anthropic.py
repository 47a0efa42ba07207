"""Claude by Anthropic's Messages API."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from urllib.parse import quote

from llm_providers.adapters.anthropic_wire import ChatAnswer, chat_body, models_in
from llm_providers.adapters.base import Adapter
from llm_providers.adapters.exchange import Outgoing, exchange, json_body, pieces_of, read_to_end, whole_body
from llm_providers.adapters.framing import sse_frames
from llm_providers.types import AdapterEvent, ChatCall, ModelDescription

VERSION = "2026-10-21"
_MOST_PAGES = 10


class AnthropicAdapter(Adapter):
    """`base_url` is the root, https://api.anthropic.com unless a proxy stands before it."""

    kind = "anthropic"
    title = "Claude (Anthropic)"

    async def models(self) -> tuple[ModelDescription, ...]:
        found: list[ModelDescription] = []
        after: str | None = None
        for _ in range(_MOST_PAGES):
            page, after = models_in(await self._models_page(limit=1000, after=after))
            found.extend(page)
            if after is None:
                break
        return tuple(found)

    async def probe(self) -> None:
        models_in(await self._models_page(limit=1))

    async def _models_page(self, *, limit: int, after: str | None = None) -> bytes:
        place = f"&after_id={quote(after)}" if after else ""
        outgoing = Outgoing(f"/v1/models?limit={limit}{place}", headers=self._headers())
        async with exchange(self.connection, outgoing) as response:
            return await whole_body(response)

    async def _chat(self, call: ChatCall) -> AsyncGenerator[AdapterEvent, None]:
        # Compression would hold tokens back, and costs more than it saves.
        headers = self._headers() | {"accept-encoding": "identity"}
        outgoing = Outgoing("/v1/messages", is_stream=True, body=json_body(chat_body(call)), headers=headers)
        async with exchange(self.connection, outgoing) as response:
            answer = ChatAnswer(response.headers.get("request-id"))
            async with aclosing(sse_frames(pieces_of(response))) as batches:
                async for frames in batches:
                    for frame in frames:
                        for event in answer.events(frame):
                            yield event
                    if answer.is_complete:
                        await read_to_end(batches)
                        return
            raise answer.cut()

    def _headers(self) -> dict[str, str]:
        headers = {
            "accept": "text/event-stream, application/json",
            "content-type": "application/json",
            "anthropic-version": VERSION,
        }
        if self.connection.secret:
            headers["x-api-key"] = self.connection.secret
        return headers
