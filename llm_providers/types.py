"""Values that travel between callers, the client and adapters; they know neither Django nor HTTP."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class PrivacyLabel(StrEnum):
    """How far a text may travel, least to most strict: public < internal < private."""

    PUBLIC = "public"
    INTERNAL = "internal"
    PRIVATE = "private"

    @property
    def rank(self) -> int:
        return tuple(PrivacyLabel).index(self)

    @classmethod
    def parse(cls, text: str) -> "PrivacyLabel":
        """The label that `text` names; one we cannot read is private, because it may have meant that."""
        try:
            return cls(text)
        except ValueError:
            return cls.PRIVATE

    @classmethod
    def strictest(cls, *labels: "PrivacyLabel") -> "PrivacyLabel":
        return max(labels, key=lambda label: label.rank)


class Capability(StrEnum):
    """What a call asks of a model, and what a served model can do."""

    CHAT = "chat"
    EMBED = "embed"
    TRANSCRIBE = "transcribe"
    DRAW = "draw"
    VISION = "vision"
    TOOLS = "tools"
    JSON_SCHEMA = "json_schema"


class Purpose(StrEnum):
    """What a call is for; figures and budgets are grouped by it."""

    CHAT = "chat"
    TITLE = "title"
    EMBEDDING = "embedding"
    TEST = "test"
    BENCHMARK = "benchmark"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asked: a person, an API key or the product itself (`kind` person, key or system)."""

    kind: str
    id: int | None = None

    @classmethod
    def person(cls, user_id: int) -> "Principal":
        return cls("person", user_id)

    @classmethod
    def system(cls) -> "Principal":
        return cls("system")


class Role(StrEnum):
    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@dataclass(frozen=True, slots=True)
class ImagePart:
    """A picture inside a message; `mime` such as image/png, `content` the file's bytes."""

    mime: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that a model asks for; `arguments` is the model's own text and may be invalid JSON."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. A turn of role tool answers the call `tool_call_id`."""

    role: Role
    text: str
    images: tuple[ImagePart, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may ask for; `parameters` is its JSON schema."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AnswerSchema:
    """The JSON schema that the whole answer must obey."""

    name: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the model draws its words; what is None is left to the provider."""

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """A chat call as its caller means it: no provider, only a wish.

    `wanted_model` is `auto`, a model's name, a provider's name or `provider/model`. `deadline_s` bounds the
    wait for the first content over all attempts; None takes the default for the purpose.
    """

    messages: tuple[Message, ...]
    purpose: Purpose
    principal: Principal
    privacy: PrivacyLabel
    wanted_model: str = "auto"
    tools: tuple[Tool, ...] = ()
    tool_choice: str | None = None
    answer_schema: AnswerSchema | None = None
    sampling: Sampling = Sampling()
    deadline_s: float | None = None

    @property
    def capability(self) -> Capability:
        return Capability.CHAT

    @property
    def needs(self) -> frozenset[Capability]:
        """What a model must be able to do to take this call."""
        wanted = {Capability.CHAT}
        if any(message.images for message in self.messages):
            wanted.add(Capability.VISION)
        return frozenset(wanted)


@dataclass(frozen=True, slots=True)
class EmbedRequest:
    """Texts to be turned into vectors of one embedding space."""

    inputs: tuple[str, ...]
    purpose: Purpose
    principal: Principal
    privacy: PrivacyLabel
    wanted_model: str = "auto"
    deadline_s: float | None = None

    @property
    def capability(self) -> Capability:
        return Capability.EMBED

    @property
    def needs(self) -> frozenset[Capability]:
        return frozenset({Capability.EMBED})


# --- what an adapter is asked for, and what it tells ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ChatCall:
    """A chat call for one model of one provider; `model` is the name that the provider knows."""

    model: str
    messages: tuple[Message, ...]
    privacy: PrivacyLabel
    tools: tuple[Tool, ...] = ()
    tool_choice: str | None = None
    answer_schema: AnswerSchema | None = None
    sampling: Sampling = Sampling()


@dataclass(frozen=True, slots=True)
class EmbedCall:
    model: str
    inputs: tuple[str, ...]
    privacy: PrivacyLabel


@dataclass(frozen=True, slots=True)
class TextDelta:
    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    text: str


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of the tool call at `index`; the first piece of each brings id and name."""

    index: int
    arguments: str
    id: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class AnswerOrigin:
    """What the provider says of itself once it has accepted the call."""

    answered_model: str | None
    provider_request_id: str | None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the provider counted them; None is "it did not say". Input includes cached, output reasoning."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class FinishReason(StrEnum):
    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Finished:
    """The provider's terminal marker was seen: the answer is complete."""

    reason: FinishReason


AdapterEvent = TextDelta | ReasoningDelta | ToolCallDelta | AnswerOrigin | Usage | Finished


@dataclass(frozen=True, slots=True)
class Embeddings:
    """One vector per input, in the order of the inputs."""

    vectors: tuple[tuple[float, ...], ...]
    answered_model: str | None
    usage: Usage


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """A model as its provider lists it; lengths in tokens, None where it does not say."""

    name: str
    capabilities: frozenset[Capability]
    context_length: int | None = None
    max_output: int | None = None
    is_remote: bool = False
    """A local server passes what it gets for this model on to somebody else."""


# --- what the client tells its caller ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Began:
    """The request is on record under `request_id` (req_…)."""

    request_id: str


@dataclass(frozen=True, slots=True)
class FellOver:
    """`target` (provider/model) did not answer, for `reason`; whoever is next is asked."""

    target: str
    reason: str


@dataclass(frozen=True, slots=True)
class Loading:
    """`target` (provider/model) is not in memory yet, so its first word takes longer than usual."""

    target: str


@dataclass(frozen=True, slots=True)
class Retrying:
    """Everybody has been asked; `target` (provider/model) is asked once more in `wait_s` seconds."""

    target: str
    wait_s: float


@dataclass(frozen=True, slots=True)
class Serving:
    """The first content has arrived: from here on nothing is switched silently."""

    provider: str
    model: str
    is_local: bool
    is_test: bool
    attempt: int


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer is complete and its record is on disk.

    `usage_source` is reported, estimated or unknown; times in milliseconds; `trail` is the decision, candidate by
    candidate.
    """

    request_id: str
    provider: str
    model: str
    is_local: bool
    is_test: bool
    finish_reason: FinishReason
    usage: Usage
    usage_source: str
    ttft_ms: int | None
    total_ms: int
    tokens_per_s: float | None
    trail: tuple[Mapping[str, Any], ...]
    text: str = field(repr=False)
    reasoning: str = field(repr=False)
    tool_calls: tuple[ToolCall, ...] = ()


ClientEvent = Began | Loading | FellOver | Retrying | Serving | TextDelta | ReasoningDelta | ToolCallDelta | Answered
