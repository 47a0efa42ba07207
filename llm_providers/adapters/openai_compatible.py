"""Any server that speaks the OpenAI form: llama.cpp, vLLM, LM Studio and many gateways."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import ClassVar

from llm_providers.adapters.base import Adapter, Connection
from llm_providers.adapters.exchange import Outgoing, exchange, json_body, pieces_of, read_to_end, whole_body
from llm_providers.adapters.failures import rejected_parameter
from llm_providers.adapters.framing import sse_frames
from llm_providers.adapters.openai_models import models_in
from llm_providers.adapters.openai_wire import ChatAnswer, chat_body, embed_body, embeddings_in
from llm_providers.errors import ProviderFailure
from llm_providers.types import AdapterEvent, ChatCall, EmbedCall, Embeddings, ModelDescription


class OpenAICompatibleAdapter(Adapter):
    """`base_url` ends with `/v1`, without a slash.

    An optional parameter that a model refuses (`PARAMETER_REJECTED`) is left out from then on, so the same call may
    be made once more.
    """

    kind = "openai_compatible"
    title = "OpenAI-compatible server"
    length_field: ClassVar[str] = "max_tokens"
    request_id_header: ClassVar[str] = "x-request-id"

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._rejected: dict[str, set[str]] = {}  # by model

    async def models(self) -> tuple[ModelDescription, ...]:
        async with exchange(self.connection, Outgoing("/models", headers=self._headers())) as response:
            return models_in(await whole_body(response))

    async def _chat(self, call: ChatCall) -> AsyncGenerator[AdapterEvent, None]:
        # Compression would hold tokens back, and costs more than it saves.
        headers = self._headers() | {"accept-encoding": "identity"}
        outgoing = Outgoing("/chat/completions", is_stream=True, body=self._chat_body(call), headers=headers)
        try:
            async with exchange(self.connection, outgoing) as response:
                answer = ChatAnswer(response.headers.get(self.request_id_header))
                async with aclosing(sse_frames(pieces_of(response))) as batches:
                    async for frames in batches:
                        for frame in frames:
                            for event in answer.events(frame):
                                yield event
                        if answer.is_complete:
                            await read_to_end(batches)
                            return
                raise answer.cut()
        except ProviderFailure as failure:
            self._learn(call.model, failure)
            raise

    async def _embed(self, call: EmbedCall) -> Embeddings:
        outgoing = Outgoing("/embeddings", body=json_body(embed_body(call)), headers=self._headers())
        async with exchange(self.connection, outgoing) as response:
            return embeddings_in(await whole_body(response), count=len(call.inputs))

    def _headers(self) -> dict[str, str]:
        headers = {"accept": "text/event-stream, application/json", "content-type": "application/json"}
        if self.connection.secret:
            headers["authorization"] = f"Bearer {self.connection.secret}"
        return headers

    def _chat_body(self, call: ChatCall) -> bytes:
        body = chat_body(call, length_field=self.length_field)
        rejected = self._rejected.get(call.model, ())
        if "max_tokens" in rejected and "max_tokens" in body:  # newer models know it by another name
            body["max_completion_tokens"] = body["max_tokens"]
        return json_body({name: value for name, value in body.items() if name not in rejected})

    def _learn(self, model: str, failure: ProviderFailure) -> None:
        name = rejected_parameter(failure)
        if name is not None:
            self._rejected.setdefault(model, set()).add(name)
