"""Server-sent events, or lines of JSON, out of the bytes of an answer, wherever the network has cut them.

Works on bytes, so a piece that ends inside a character needs no care, and on whole pieces rather than line by line,
because it runs once per token.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import NamedTuple

from llm_providers.errors import Event, ProviderFailure

LONGEST_FRAME = 8 * 1024 * 1024
LONGEST_ANSWER = 32 * 1024 * 1024


class Frame(NamedTuple):
    """One event of the stream; `event` is empty where the server gave it no name."""

    event: bytes
    data: bytes


class SSEReader:
    """Collects the pieces of one answer and hands out the frames that are complete.

    Lines end with LF, CRLF or CR. Comments and frames without data are passed over. Raises `ProviderFailure`
    (malformed) for a frame over 8 MB or an answer over 32 MB.
    """

    __slots__ = ("_pending", "_pending_length", "_skips_line_feed", "_taken")

    def __init__(self) -> None:
        self._pending: list[bytes] = []
        self._pending_length = 0
        self._skips_line_feed = False
        self._taken = 0

    def feed(self, piece: bytes) -> Sequence[Frame]:
        """The frames that `piece` completes."""
        self._taken += len(piece)
        if self._taken > LONGEST_ANSWER:
            raise ProviderFailure(Event.MALFORMED, "the answer is longer than 32 MB")
        if b"\r" in piece or self._skips_line_feed:
            piece = self._with_line_feeds(piece)
        if b"\n" not in piece:  # a long line in many pieces is joined once, not once per piece
            self._keep(piece)
            return ()
        if self._pending:
            self._pending.append(piece)
            piece = b"".join(self._pending)
            self._pending.clear()
            self._pending_length = 0
        *blocks, rest = piece.split(b"\n\n")
        if rest:
            self._keep(rest)
        return _frames(blocks)

    def end(self) -> Sequence[Frame]:
        """What the server left without its blank line when it closed the connection."""
        rest = b"".join(self._pending)
        self._pending.clear()
        return _frames([rest]) if rest.endswith(b"\n") else ()

    def _keep(self, piece: bytes) -> None:
        self._pending.append(piece)
        self._pending_length += len(piece)
        if self._pending_length > LONGEST_FRAME:
            raise ProviderFailure(Event.MALFORMED, "a frame is longer than 8 MB")

    def _with_line_feeds(self, piece: bytes) -> bytes:
        """A CR counts as the end of its line at once; the LF that may follow in the next piece is dropped then."""
        if self._skips_line_feed and piece:
            piece = piece.removeprefix(b"\n")
            self._skips_line_feed = False
        if piece.endswith(b"\r"):
            self._skips_line_feed = True
        return piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


async def sse_frames(pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[Sequence[Frame], None]:
    """The frames of an answer, as many at a time as each of its pieces completes; closes `pieces`."""
    reader = SSEReader()
    async with aclosing(pieces):
        async for piece in pieces:
            yield reader.feed(piece)
    yield reader.end()


async def json_lines(pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[Sequence[bytes], None]:
    """The lines of an answer in newline-delimited JSON, as many at a time as each piece completes; closes `pieces`.

    What the server left without its line feed when it closed the connection is the last line. The limits are those
    of `SSEReader`.
    """
    pending: list[bytes] = []
    pending_length = taken = 0
    async with aclosing(pieces):
        async for piece in pieces:
            taken += len(piece)
            if taken > LONGEST_ANSWER:
                raise ProviderFailure(Event.MALFORMED, "the answer is longer than 32 MB")
            head, line_feed, rest = piece.rpartition(b"\n")
            if line_feed:
                yield [line for line in b"".join([*pending, head]).split(b"\n") if line.strip()]
                pending, pending_length = [], 0
            pending.append(rest)
            pending_length += len(rest)
            if pending_length > LONGEST_FRAME:
                raise ProviderFailure(Event.MALFORMED, "a line is longer than 8 MB")
    if last := b"".join(pending).strip():
        yield [last]


def _frames(blocks: list[bytes]) -> list[Frame]:
    found = []
    for block in blocks:
        if block.startswith(b"data: ") and b"\n" not in block:
            found.append(Frame(b"", block[6:]))
        elif (frame := _frame_of_lines(block)) is not None:
            found.append(frame)
    return found


def _frame_of_lines(block: bytes) -> Frame | None:
    event, lines = b"", []
    for line in block.split(b"\n"):
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            lines.append(value)
        elif name == b"event":
            event = value
    return Frame(event, b"\n".join(lines)) if lines else None
