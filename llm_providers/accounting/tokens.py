"""Token counts where a provider gives none: an estimate that is always marked as one."""

from collections.abc import Iterable

from llm_providers.types import EmbedRequest, ModelRequest, Usage

# English prose has about four characters to a token with every tokenizer in use; an image costs some hundreds.
_CHARACTERS_PER_TOKEN = 4
_TOKENS_PER_MESSAGE = 4
_TOKENS_PER_IMAGE = 600


def estimated_tokens(text: str) -> int:
    return -(-len(text) // _CHARACTERS_PER_TOKEN)


def estimated_input(request: ModelRequest | EmbedRequest) -> int:
    if isinstance(request, EmbedRequest):
        return sum(estimated_tokens(text) for text in request.inputs)
    images = sum(len(message.images) for message in request.messages)
    texts = sum(estimated_tokens(message.text) + _TOKENS_PER_MESSAGE for message in request.messages)
    return texts + images * _TOKENS_PER_IMAGE


def completed_usage(
    reported: Usage | None, request: ModelRequest | EmbedRequest, *, written: Iterable[str]
) -> tuple[Usage, str]:
    """(usage, its source). What the provider did not count is estimated from the texts, and the source says so."""
    if reported is not None and reported.input_tokens is not None and reported.output_tokens is not None:
        return reported, "reported"
    known = reported or Usage()
    input_tokens = estimated_input(request) if known.input_tokens is None else known.input_tokens
    output_tokens = sum(map(estimated_tokens, written)) if known.output_tokens is None else known.output_tokens
    return Usage(input_tokens, output_tokens, known.cached_tokens, known.reasoning_tokens), "estimated"
