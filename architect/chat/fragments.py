"""Numbered pieces of an answer: every piece has a `seq` from 1 without gaps, so that nothing is shown twice or lost."""

from collections.abc import Iterable
from dataclasses import dataclass, field

TEXT, REASONING = "t", "r"


@dataclass(frozen=True, slots=True)
class Fragment:
    seq: int
    kind: str
    text: str


@dataclass(slots=True)
class FragmentLog:
    """All fragments of one run in order, with what is still being gathered for the next one."""

    fragments: list[Fragment] = field(default_factory=list)
    _gathering: list[str] = field(default_factory=list)
    _kind: str = TEXT
    _stored_seq: int = 0

    @property
    def last_seq(self) -> int:
        return len(self.fragments)

    def gather(self, kind: str, text: str) -> Fragment | None:
        """Adds a piece; a change between text and reasoning closes the fragment so far and returns it."""
        closed = self.close() if kind != self._kind else None
        self._kind = kind
        self._gathering.append(text)
        return closed

    def close(self) -> Fragment | None:
        """The next fragment, from all that was gathered; None when that is nothing."""
        if not self._gathering:
            return None
        made = Fragment(len(self.fragments) + 1, self._kind, "".join(self._gathering))
        self._gathering.clear()
        self.fragments.append(made)
        return made

    def after(self, seq: int) -> list[Fragment]:
        return self.fragments[max(seq, 0) :]

    def unstored(self) -> list[Fragment]:
        return self.fragments[self._stored_seq :]

    def mark_stored(self, seq: int) -> None:
        self._stored_seq = max(self._stored_seq, seq)

    def text(self, kind: str) -> str:
        return joined(self.fragments, kind)


def joined(fragments: Iterable[Fragment], kind: str) -> str:
    return "".join(fragment.text for fragment in fragments if fragment.kind == kind)
