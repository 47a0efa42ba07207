"""OpenAI itself: the form that others copy, with its newer names and its long list of models that do not chat."""

import re
from typing import ClassVar

from llm_providers.adapters.openai_compatible import OpenAICompatibleAdapter
from llm_providers.types import Capability, ModelDescription

# By the family that a name begins with, the first that fits. The list of models tells names alone.
_FAMILIES: tuple[tuple[str, frozenset[Capability]], ...] = (
    (r"text-embedding-", frozenset({Capability.EMBED})),
    (r"whisper-|gpt-(.*-)?transcribe", frozenset({Capability.TRANSCRIBE})),
    (r"dall-e-|gpt-image-|chatgpt-image-", frozenset({Capability.DRAW})),
    (
        r"tts-|.*-tts|.*-realtime|.*-audio|omni-moderation-|text-moderation-|sora-|babbage-|davinci-|.*-instruct",
        frozenset(),
    ),
    (r"gpt-3", frozenset({Capability.CHAT, Capability.TOOLS})),
    (r"gpt-|o\d|chatgpt-", frozenset({Capability.CHAT, Capability.VISION, Capability.TOOLS, Capability.JSON_SCHEMA})),
)
_MATCHERS = tuple((re.compile(pattern), capabilities) for pattern, capabilities in _FAMILIES)


class OpenAIAdapter(OpenAICompatibleAdapter):
    """`base_url` is https://api.openai.com/v1 unless a proxy stands before it."""

    kind = "openai"
    title = "OpenAI"
    length_field: ClassVar[str] = "max_completion_tokens"

    async def models(self) -> tuple[ModelDescription, ...]:
        """Those that can do something that we ask for."""
        listed = await super().models()
        named = ((model, capabilities_of(model.name)) for model in listed)
        return tuple(ModelDescription(model.name, can) for model, can in named if can)


def capabilities_of(name: str) -> frozenset[Capability]:
    """What a model of this name can do; a fine-tuned one what its base can. Of unknown families: chat."""
    base = name.split(":")[1] if name.startswith("ft:") and name.count(":") > 1 else name
    return next((can for pattern, can in _MATCHERS if pattern.match(base)), frozenset({Capability.CHAT}))
