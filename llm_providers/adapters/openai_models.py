"""The model list of OpenAI-compatible servers: what they say about a model, and what its name betrays."""

import re
from typing import Any

import orjson

from llm_providers.adapters.failures import failure_in_stream, malformed
from llm_providers.adapters.foreign import UNREADABLE, can_be_called, count_of
from llm_providers.types import Capability, ModelDescription

_EMBEDS = re.compile(r"embed|\bbge\b|minilm|\be5\b|\bgte\b", re.IGNORECASE)


def models_in(body: bytes) -> tuple[ModelDescription, ...]:
    try:
        listed = orjson.loads(body)
        if listed.get("error"):
            raise failure_in_stream(listed)
        return tuple(_description(entry) for entry in listed["data"] or () if can_be_called(entry["id"]))
    except UNREADABLE as error:
        raise malformed("not a list of models", body, error) from error


def sounds_like_embedding(name: str) -> bool:
    """Whether the name is like those of models that make vectors and cannot chat."""
    return _EMBEDS.search(name) is not None


def _description(entry: dict[str, Any]) -> ModelDescription:
    return ModelDescription(entry["id"], _capabilities(entry), _context_length(entry))


def _capabilities(entry: dict[str, Any]) -> frozenset[Capability]:
    if sounds_like_embedding(entry["id"]):
        return frozenset({Capability.EMBED})
    modalities = (entry.get("architecture") or {}).get("input_modalities") or ()
    return frozenset({Capability.CHAT, Capability.VISION} if "image" in modalities else {Capability.CHAT})


def _context_length(entry: dict[str, Any]) -> int | None:
    """llama.cpp tells what it serves (`n_ctx`) and what the model was made for, vLLM `max_model_len`."""
    meta = entry.get("meta") or {}
    stated = (meta.get("n_ctx"), meta.get("n_ctx_train"), entry.get("max_model_len"), entry.get("context_length"))
    return next((length for length in map(count_of, stated) if length), None)
