"""The reader of server-sent events, on its own."""

import itertools
from collections.abc import AsyncGenerator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_providers.adapters import framing
from llm_providers.adapters.framing import Frame, SSEReader, sse_frames
from llm_providers.errors import Event, ProviderFailure


def read(*pieces: bytes) -> list[Frame]:
    reader = SSEReader()
    return [frame for piece in pieces for frame in reader.feed(piece)]


def data_of(*pieces: bytes) -> list[bytes]:
    return [frame.data for frame in read(*pieces)]


def test_it_reads_frames_that_share_a_piece() -> None:
    assert data_of(b"data: one\n\ndata: two\n\n") == [b"one", b"two"]


def test_it_holds_an_unfinished_frame_back() -> None:
    reader = SSEReader()

    assert list(reader.feed(b"data: o")) == []
    assert list(reader.feed(b"ne\n")) == []
    assert list(reader.feed(b"\n")) == [Frame(b"", b"one")]


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
def test_it_takes_every_line_ending(ending: bytes) -> None:
    lines = (b": ping", b"", b"event: x", b"data: one", b"", b"data: two", b"", b"")

    assert read(ending.join(lines)) == [Frame(b"x", b"one"), Frame(b"", b"two")]


def test_it_takes_a_carriage_return_and_its_line_feed_from_two_pieces() -> None:
    assert data_of(b"data: one\r", b"\ndata: more\r\n\r", b"\ndata: two\r\n\r\n") == [b"one\nmore", b"two"]


def test_it_takes_a_carriage_return_at_the_end_of_a_piece_for_a_whole_ending() -> None:
    assert data_of(b"data: one\r\r") == [b"one"]


def test_it_passes_over_comments_and_frames_without_data() -> None:
    assert data_of(b": ping\n\nevent: ping\n\nid: 7\n\n\n\ndata: one\n\n") == [b"one"]


def test_it_joins_the_lines_of_one_frame() -> None:
    assert data_of(b"data: one\ndata:two\ndata\n\n") == [b"one\ntwo\n"]


def test_it_drops_one_space_after_the_colon_and_no_more() -> None:
    assert data_of(b"data:one\n\ndata: two\n\ndata:  three\n\n") == [b"one", b"two", b" three"]


def test_it_tells_the_name_of_an_event() -> None:
    assert read(b"event: error\ndata: {}\n\n") == [Frame(b"error", b"{}")]


def test_it_never_cuts_a_character() -> None:
    stream = "data: Grüße 🦙\n\n".encode()

    whole = {tuple(data_of(stream[:cut], stream[cut:])) for cut in range(len(stream))}

    assert whole == {("Grüße 🦙".encode(),)}


@given(
    texts=st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"])), max_size=6),
    cuts=st.lists(st.integers(0, 200), max_size=20),
    ending=st.sampled_from([b"\n", b"\r\n", b"\r"]),
)
def test_it_reads_the_same_frames_wherever_they_are_cut(texts: list[str], cuts: list[int], ending: bytes) -> None:
    stream = b"".join(b": c%b" % ending + b"data: %b" % text.encode() + ending * 2 for text in texts)
    borders = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})

    pieces = [stream[start:end] for start, end in itertools.pairwise(borders)]

    assert data_of(*pieces) == [text.encode() for text in texts]


def test_it_hands_out_a_last_frame_that_lacks_only_its_blank_line() -> None:
    reader = SSEReader()
    reader.feed(b"data: one\n\ndata: [DONE]\n")

    assert list(reader.end()) == [Frame(b"", b"[DONE]")]


def test_it_throws_a_torn_last_line_away() -> None:
    reader = SSEReader()
    reader.feed(b'data: one\n\ndata: {"choi')

    assert list(reader.end()) == []


def test_it_takes_a_frame_as_long_as_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framing, "LONGEST_FRAME", 100)

    assert data_of(*[b"data: "], *[b"x" * 10] * 9, b"\n\n") == [b"x" * 90]


@pytest.mark.parametrize("piece", [b"x" * 10, b"x\n" * 5], ids=["one line", "many lines"])
def test_it_refuses_a_frame_that_never_ends(monkeypatch: pytest.MonkeyPatch, piece: bytes) -> None:
    monkeypatch.setattr(framing, "LONGEST_FRAME", 100)

    with pytest.raises(ProviderFailure) as raised:
        data_of(*[piece] * 11)

    assert raised.value.event is Event.MALFORMED


def test_it_refuses_an_answer_that_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framing, "LONGEST_ANSWER", 100)

    with pytest.raises(ProviderFailure) as raised:
        data_of(*[b"data: x\n\n"] * 12)

    assert raised.value.event is Event.MALFORMED


def test_its_limits_are_eight_and_thirty_two_megabytes() -> None:
    assert (framing.LONGEST_FRAME, framing.LONGEST_ANSWER) == (8 * 2**20, 32 * 2**20)


async def test_it_closes_its_source_when_it_is_left() -> None:
    closed = []

    async def source() -> AsyncGenerator[bytes, None]:
        try:
            yield b"data: one\n\n"
            yield b"data: two\n\n"
        finally:
            closed.append(True)

    frames = sse_frames(source())
    await anext(frames)
    await frames.aclose()

    assert closed == [True]
