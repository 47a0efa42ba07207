"""What has arrived of one answer, piece by piece."""

from dataclasses import dataclass, field

from llm_providers.types import (
    AdapterEvent,
    AnswerOrigin,
    Embeddings,
    Finished,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    Usage,
)


@dataclass(slots=True)
class AnswerSoFar:
    texts: list[str] = field(default_factory=list)
    reasonings: list[str] = field(default_factory=list)
    calls: dict[int, ToolCall] = field(default_factory=dict)
    origin: AnswerOrigin | None = None
    usage: Usage | None = None
    finished: Finished | None = None
    embeddings: Embeddings | None = None

    @property
    def text(self) -> str:
        return "".join(self.texts)

    @property
    def reasoning(self) -> str:
        return "".join(self.reasonings)

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        return tuple(self.calls[index] for index in sorted(self.calls))

    @property
    def has_content(self) -> bool:
        return bool(self.texts or self.reasonings or self.calls or self.embeddings)

    @property
    def written(self) -> list[str]:
        """Every text that the model produced, for counting."""
        return [self.text, self.reasoning, *(f"{call.name}{call.arguments}" for call in self.tool_calls)]

    def add(self, event: AdapterEvent | Embeddings) -> bool:
        """Takes one event in; True when it is content, which is what a caller may see."""
        match event:
            case TextDelta(text):
                self.texts.append(text)
            case ReasoningDelta(text):
                self.reasonings.append(text)
            case ToolCallDelta():
                self._add_call(event)
            case Embeddings():
                self.embeddings, self.usage = event, event.usage
                self.origin = AnswerOrigin(event.answered_model, None)
            case _:
                self._add_remark(event)
                return False
        return True

    def _add_call(self, piece: ToolCallDelta) -> None:
        known = self.calls.get(piece.index, ToolCall("", "", ""))
        self.calls[piece.index] = ToolCall(
            known.id or piece.id or "", known.name or piece.name or "", known.arguments + piece.arguments
        )

    def _add_remark(self, event: AnswerOrigin | Usage | Finished) -> None:
        match event:
            case AnswerOrigin():
                self.origin = event
            case Usage():
                self.usage = event
            case Finished():
                self.finished = event
