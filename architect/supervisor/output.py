"""The one terminal: whole lines, each marked with the program that wrote it."""

import contextlib
from collections.abc import Mapping
from typing import TextIO

COLOURS = {"web": 36, "quick": 32, "slow": 33, "engine": 35}
LONGEST_LINE = 8192
OURS = ""


class Lines:
    """Cuts a stream of bytes into lines; control signs in them cannot steer the terminal."""

    def __init__(self) -> None:
        self._rest = b""

    def take(self, piece: bytes) -> list[str]:
        *whole, self._rest = (self._rest + piece).split(b"\n")
        if len(self._rest) > LONGEST_LINE:
            whole.append(self._rest)
            self._rest = b""
        return [_readable(line) for line in whole]

    def take_rest(self) -> list[str]:
        """What came after the last line end, once no more will come."""
        rest, self._rest = self._rest, b""
        return [_readable(rest)] if rest else []


class Output:
    """Writes to `stream`, in colour if it is a terminal and the environment does not say NO_COLOR."""

    def __init__(self, stream: TextIO, *, environment: Mapping[str, str]) -> None:
        self._stream = stream
        self._in_colour = stream.isatty() and not environment.get("NO_COLOR")
        self._width = max(map(len, COLOURS))

    def line(self, name: str, text: str) -> None:
        """A line of the program `name`, or of our own if that is empty."""
        mark = f"{name:<{self._width}} |"
        if self._in_colour and name in COLOURS:
            mark = f"\033[{COLOURS[name]}m{mark}\033[0m"
        # The terminal may be gone; what runs is stopped in order all the same.
        with contextlib.suppress(OSError):
            self._stream.write(f"{mark} {text}\n" if name else f"{text}\n")
            self._stream.flush()


def _readable(line: bytes) -> str:
    text = line.decode(errors="replace").rstrip("\r")
    return "".join(sign if sign.isprintable() or sign == "\t" else "�" for sign in text)
