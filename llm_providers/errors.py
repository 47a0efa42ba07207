"""Every failure of this room. A caller learns from the type whether to retry, to change the request or to give up.

LLMError
├── Refused                 the request itself is in the way; the same one will be refused again
│   ├── BadRequest
│   ├── ContextTooLong
│   ├── Unauthorised
│   ├── PrivacyBlocked
│   └── BudgetExceeded
├── Unavailable             nobody could take it now; later may be different
│   ├── AllTargetsFailed
│   ├── Busy
│   └── RecordUnavailable
├── Interrupted             an answer had begun
│   ├── StreamBroken
│   ├── DeadlineReached
│   └── Cancelled
├── ProviderFailure         from an adapter to the client, never beyond it
└── PrivacyViolation        a bug was stopped at the socket; an alert, never a fallover
"""

from collections.abc import Mapping
from enum import Enum
from typing import Any


class LLMError(Exception):
    """`request_id` (req_…) is set once the request is on record."""

    request_id: str | None = None


class Refused(LLMError):
    pass


class BadRequest(Refused):
    pass


class ContextTooLong(Refused):
    pass


class Unauthorised(Refused):
    pass


class PrivacyBlocked(Refused):
    pass


class BudgetExceeded(Refused):
    pass


class Unavailable(LLMError):
    pass


class AllTargetsFailed(Unavailable):
    """Nobody answered. `trail` tells of every candidate; `retry_after_s` when one may be back, if known."""

    def __init__(
        self, message: str, *, trail: tuple[Mapping[str, Any], ...] = (), retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.trail = trail
        self.retry_after_s = retry_after_s


class Busy(Unavailable):
    pass


class RecordUnavailable(Unavailable):
    """The request could not be put on record, so nothing was sent."""


class Interrupted(LLMError):
    pass


class StreamBroken(Interrupted):
    """The answer broke off after content; `reason` is cut, stall, malformed or another of the closed list."""

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class DeadlineReached(Interrupted):
    pass


class Cancelled(Interrupted):
    pass


class PrivacyViolation(LLMError):
    pass


class Retry(Enum):
    """Whether the same provider may be asked once more after all others were."""

    NEVER = "never"
    YES = "yes"
    IF_ALONE = "if alone"
    """Only where nobody else could be asked at all."""
    WHILE_LOADING = "while loading"
    """It will answer once it is ready, so asking again is waiting."""


class Event(Enum):
    """What happened at a provider: (name on record, reason in the trail, may the next candidate be asked, retry).

    The reasons are a closed list; a 400 stays with its caller because the next provider would refuse it too, or
    accept it and cost money.
    """

    REFUSED = ("refused", "refused", True)
    CONNECT_TIMEOUT = ("connect_timeout", "connect_timeout", True)
    SLOW = ("slow", "slow", True)
    LOADING = ("loading", "cold", True, Retry.WHILE_LOADING)
    SERVER_ERROR = ("server_error", "server_error", True, Retry.YES)
    CONFLICT = ("conflict", "server_error", True, Retry.YES)
    MODEL_CRASHED = ("model_crashed", "server_error", True)
    UNAVAILABLE = ("unavailable", "server_error", True, Retry.YES)
    BUSY = ("busy", "busy", True)
    OVERLOADED = ("overloaded", "overloaded", True, Retry.YES)
    RATE_LIMITED = ("rate_limited", "rate_limited", True, Retry.IF_ALONE)
    QUOTA = ("quota", "quota", True)
    UNAUTHORISED = ("unauthorised", "config", True)
    MODEL_MISSING = ("model_missing", "model_missing", True)
    MISCONFIGURED = ("misconfigured", "config", True)
    REQUEST_TIMEOUT = ("request_timeout", "slow", True, Retry.YES)
    BAD_REQUEST = ("bad_request", "bad_request", False)
    CONTEXT_LENGTH = ("context_length", "context_length", True)
    PARAMETER_REJECTED = ("parameter_rejected", "bad_request", False)
    CUT = ("cut", "cut", True, Retry.YES)
    STALL = ("stall", "stall", True, Retry.YES)
    MALFORMED = ("malformed", "malformed", True, Retry.YES)
    ERROR_FRAME = ("error_frame", "server_error", True, Retry.YES)
    EMPTY = ("empty", "empty", True)
    UNCLASSIFIED = ("unclassified", "server_error", True, Retry.YES)

    def __init__(self, label: str, reason: str, falls_over: bool, retry: Retry = Retry.NEVER) -> None:  # noqa: FBT001 - the table above is positional
        self.label = label
        self.reason = reason
        self.falls_over = falls_over
        self.retry = retry


class ProviderFailure(LLMError):
    """An attempt failed at its provider.

    `detail` is the provider's complaint, cut to 2 KB and redacted, or the shape of what can't be read. A complaint may
    quote the prompt, so `detail` goes where the request's content goes and nowhere else. `retry_after_s` is what the
    provider asked to wait, `context_limit` the most tokens that it can take at once, both None where it did not say.
    """

    def __init__(
        self,
        event: Event,
        detail: str,
        *,
        http_status: int | None = None,
        retry_after_s: float | None = None,
        context_limit: int | None = None,
    ) -> None:
        super().__init__(event, detail)
        self.event = event
        self.detail = detail
        self.http_status = http_status
        self.retry_after_s = retry_after_s
        self.context_limit = context_limit

    def __str__(self) -> str:
        return f"{self.event.label}: {self.detail}"
