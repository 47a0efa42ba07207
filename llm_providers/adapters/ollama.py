"""Ollama by its own API, because its OpenAI dialect hides failures in the middle of an answer and load times."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import orjson

from llm_providers.adapters.base import Adapter, Connection
from llm_providers.adapters.exchange import Outgoing, exchange, json_body, pieces_of, read_to_end, whole_body
from llm_providers.adapters.failures import malformed
from llm_providers.adapters.framing import json_lines
from llm_providers.adapters.ollama_wire import (
    ChatAnswer,
    chat_body,
    description_of,
    details_in,
    embed_body,
    embeddings_in,
    listed_in,
)
from llm_providers.errors import Event, ProviderFailure
from llm_providers.types import AdapterEvent, ChatCall, EmbedCall, Embeddings, ModelDescription


class OllamaAdapter(Adapter):
    """`base_url` is the root of the server, such as http://127.0.0.1:11434."""

    kind = "ollama"
    title = "Ollama"

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._shown: dict[tuple[str, str], dict[str, Any]] = {}  # by name and digest: a model is asked about once

    async def models(self) -> tuple[ModelDescription, ...]:
        listed = listed_in(await self._get("/api/tags"))
        keys = [(entry["name"], str(entry.get("digest"))) for entry in listed]
        self._shown = {key: self._shown[key] if key in self._shown else await self._show(key[0]) for key in keys}
        return tuple(description_of(entry, self._shown[key]) for entry, key in zip(listed, keys, strict=True))

    async def loaded_models(self) -> frozenset[str]:
        return frozenset(entry["name"] for entry in listed_in(await self._get("/api/ps")))

    async def probe(self) -> None:
        body = await self._get("/api/version")
        try:
            orjson.loads(body)["version"]
        except (TypeError, LookupError, ValueError) as error:
            raise malformed("not the version of an Ollama", body, error) from error

    async def _chat(self, call: ChatCall) -> AsyncGenerator[AdapterEvent, None]:
        answer = ChatAnswer()
        # Compression would hold tokens back, and costs more than it saves.
        headers = self._headers() | {"accept-encoding": "identity"}
        outgoing = Outgoing("/api/chat", is_stream=True, body=json_body(chat_body(call)), headers=headers)
        async with exchange(self.connection, outgoing) as response:
            async with aclosing(json_lines(pieces_of(response))) as batches:
                async for lines in batches:
                    for line in lines:
                        for event in answer.events(line):
                            yield event
                    if answer.is_complete:
                        await read_to_end(batches)
                        return
            raise answer.cut()

    async def _embed(self, call: EmbedCall) -> Embeddings:
        outgoing = Outgoing("/api/embed", body=json_body(embed_body(call)), headers=self._headers())
        async with exchange(self.connection, outgoing) as response:
            return embeddings_in(await whole_body(response), count=len(call.inputs))

    async def _show(self, name: str) -> dict[str, Any]:
        """Nothing where the model was deleted since it was listed."""
        outgoing = Outgoing("/api/show", body=json_body({"model": name}), headers=self._headers())
        try:
            async with exchange(self.connection, outgoing) as response:
                return details_in(await whole_body(response))
        except ProviderFailure as failure:
            if failure.event is not Event.MODEL_MISSING:
                raise
            return {}

    async def _get(self, path: str) -> bytes:
        async with exchange(self.connection, Outgoing(path, headers=self._headers())) as response:
            return await whole_body(response)

    def _headers(self) -> dict[str, str]:
        headers = {"accept": "application/x-ndjson, application/json", "content-type": "application/json"}
        if self.connection.secret:
            headers["authorization"] = f"Bearer {self.connection.secret}"
        return headers
