"""Tells, once, when the pages can be opened."""

from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from time import monotonic

from architect.supervisor.output import OURS, Output

_LONG_AFTER_S = 30.0
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - compared with, not listened on


def readiness_watch(*, host: str, port: int, started_at: float, output: Output) -> Callable[[], None]:
    """A function to be called again and again; `started_at` is on the monotonic clock."""
    is_done = is_late = False

    def look() -> None:
        nonlocal is_done, is_late
        if is_done:
            return
        waited_s = monotonic() - started_at
        if _answers(_ANYWHERE.get(host, host), port):
            is_done = True
            output.line(OURS, f"Ready in {waited_s:.1f} s.")
        elif waited_s > _LONG_AFTER_S and not is_late:
            is_late = True
            output.line(OURS, f"No page after {waited_s:.0f} s; the lines of web may say why.")

    return look


def _answers(host: str, port: int) -> bool:
    connection = HTTPConnection(host, port, timeout=1)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status < 500
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
