"""The share of calls that failed lately, for targets that fail often and never several times in a row."""

from collections import deque
from typing import NamedTuple

_FEWEST_CALLS = 10
_SHORTEST_S = 60.0
_KEPT = 200


class _Call(NamedTuple):
    at: float
    has_failed: bool


class CallWindow:
    """The latest calls of one target as this process made them; times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._calls: deque[_Call] = deque(maxlen=_KEPT)

    def add(self, *, has_failed: bool, at: float) -> None:
        self._calls.append(_Call(at, has_failed))

    def clear(self) -> None:
        self._calls.clear()

    def is_mostly_failing(self, *, at: float, timeout_s: float) -> bool:
        """Whether at least half of ten or more calls failed. The span covers three time-outs: in a shorter one not
        even two of them could be seen.
        """
        since = at - max(_SHORTEST_S, 3 * timeout_s)
        recent = [call.has_failed for call in self._calls if call.at >= since]
        return len(recent) >= _FEWEST_CALLS and 2 * sum(recent) >= len(recent)
