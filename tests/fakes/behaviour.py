"""What a fake model server is told to do: the answer it gives, and the one thing that goes wrong."""

from dataclasses import dataclass, field
from enum import StrEnum


class Fault(StrEnum):
    """One way to fail. Each fake knows those that its original can have and says so for the others."""

    NONE = "none"
    # the connection
    REFUSE = "refuse"
    HANG = "hang"
    SLOW_FIRST_BYTE = "slow_first_byte"
    RESET = "reset"
    # inside the stream
    CUT_BEFORE_CONTENT = "cut_before_content"
    CUT_AFTER_CONTENT = "cut_after_content"
    RESET_AFTER_CONTENT = "reset_after_content"
    STALL = "stall"
    STALL_AFTER_END = "stall_after_end"
    MALFORMED = "malformed"
    ERROR_FRAME = "error_frame"
    OVERLOADED_FRAME = "overloaded_frame"
    ERROR_FRAME_THEN_DONE = "error_frame_then_done"
    CONTEXT_EXCEEDED_FRAME = "context_exceeded_frame"
    NO_TERMINAL_MARKER = "no_terminal_marker"
    NO_FINISH_REASON = "no_finish_reason"
    NO_USAGE = "no_usage"
    EMPTY = "empty"
    SPLIT_CHARACTER = "split_character"
    COMMENTS_AND_CRLF = "comments_and_crlf"
    # inside a list of vectors
    VECTORS_OUT_OF_ORDER = "vectors_out_of_order"
    VECTOR_MISSING = "vector_missing"
    # instead of an answer
    BAD_REQUEST = "400"
    CONTEXT_EXCEEDED = "context_exceeded"
    PARAMETER_REJECTED = "parameter_rejected"
    UNAUTHORISED = "401"
    QUOTA_402 = "402"
    FORBIDDEN = "403"
    MODEL_MISSING = "404_model"
    PATH_MISSING = "404_path"
    REQUEST_TIMEOUT = "408"
    CONFLICT = "409"
    TOO_LARGE = "413"
    UNPROCESSABLE = "422"
    RATE_LIMITED = "429"
    RATE_LIMITED_SECONDS = "429_retry_after"
    RATE_LIMITED_DATE = "429_retry_after_date"
    RATE_LIMITED_MS = "429_retry_after_ms"
    QUOTA = "insufficient_quota"
    SERVER_ERROR = "500"
    MODEL_CRASHED = "500_could_not_load"
    OPAQUE_ERROR = "500_empty"
    CUT_ERROR_BODY = "500_cut"
    ENDLESS_ERROR_BODY = "500_endless"
    BAD_GATEWAY_PAGE = "502_html"
    UNAVAILABLE = "503"
    LOADING = "503_loading"
    BUSY = "503_busy"
    GATEWAY_TIMEOUT = "504"
    OVERLOADED = "529"
    PAGE = "200_html"
    REDIRECT = "302"
    NOT_HTTP = "not_http"


@dataclass(frozen=True, slots=True)
class FakeToolCall:
    """A call that the fake model asks for, its arguments sent in `fragments`."""

    name: str
    fragments: tuple[str, ...]
    id: str = "call_Fk3q8sT1"

    @property
    def arguments(self) -> str:
        return "".join(self.fragments)


@dataclass(frozen=True, slots=True)
class Answer:
    """A good answer. `words` are its chunks, `repeat` how often they are sent; `chunk_delay_s` is between them.

    `usage` is (input, output, cached, reasoning) tokens.
    """

    words: tuple[str, ...] = ("Grüße", " from", " the", " fake", " 🦙.")
    repeat: int = 1
    thoughts: tuple[str, ...] = ()
    refusal: str = ""
    tool_calls: tuple[FakeToolCall, ...] = ()
    finish_reason: str = "stop"
    usage: tuple[int, int, int, int] = (17, 5, 4, 0)
    chunk_delay_s: float = 0.0
    headers: tuple[tuple[str, str], ...] = field(default=(("x-request-id", "req_7f3a9c5e1b"),))

    @property
    def text(self) -> str:
        return "".join(self.words) * self.repeat
