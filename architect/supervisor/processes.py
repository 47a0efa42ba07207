"""Keeps programs running: starts them, shows what they write, restarts what ends, and stops all of them in order."""

import os
import selectors
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from architect.lib.end_with_parent import end_with_parent
from architect.supervisor.output import OURS, Lines, Output
from architect.supervisor.restarts import Restarts

_LOOK_EVERY_S = 0.1
_PIECE = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """`stops_within_s` is how long it may take to end by itself once it was asked to.

    Only its first start waits for `starts_after_s`, so that it leaves the machine to what is needed first.
    """

    name: str
    command: tuple[str, ...]
    stops_within_s: float
    starts_after_s: float = 0.0


class RunningProgram:
    """A program in a session of its own, so that Ctrl-C reaches only us and its whole group can be ended at once."""

    def __init__(
        self, program: Program, *, output: Output, selector: selectors.BaseSelector, environment: Mapping[str, str]
    ) -> None:
        self.program = program
        self._output = output
        self._selector = selector
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._lines = Lines()
        self._restarts = Restarts()
        self._started_at = 0.0
        self._start_at: float | None = None
        self._is_stopping = False

    @property
    def is_running(self) -> bool:
        return self._process is not None

    def start_soon(self, *, at: float) -> None:
        self._start_at = at + self.program.starts_after_s

    def _start(self, *, at: float) -> None:
        self._start_at = None
        self._started_at = at
        self._process = subprocess.Popen(
            self.program.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(self._environment),
            start_new_session=True,
            preexec_fn=end_with_parent,  # noqa: PLW1509 - safe, because this process has one thread
        )
        assert self._process.stdout is not None  # noqa: S101 - for the type checker: it is a pipe
        os.set_blocking(self._process.stdout.fileno(), False)
        self._selector.register(self._process.stdout, selectors.EVENT_READ, self.show)

    def show(self) -> bool:
        """Shows what it has written since; False when there was nothing."""
        if self._process is None or self._process.stdout is None:
            return False
        try:
            piece = os.read(self._process.stdout.fileno(), _PIECE)
        except BlockingIOError:
            return False
        if not piece and self._process.stdout in self._selector.get_map():
            self._selector.unregister(self._process.stdout)
        self._show_lines(self._lines.take(piece))
        return bool(piece)

    def look(self, *, at: float) -> None:
        """Notices its end, and starts it again when it is time to."""
        if self._process is not None and self._process.poll() is not None:
            self._clean_up(at=at)
        elif self._start_at is not None and at >= self._start_at:
            self._start(at=at)

    def stay_down_once_ended(self) -> None:
        self._is_stopping = True
        self._start_at = None

    def ask_to_stop(self) -> None:
        if self._process is not None:
            self._process.terminate()

    def kill(self) -> None:
        """Ends it and everything that it has started, without asking."""
        if self._process is not None:
            self._kill_group(self._process.pid)

    def _clean_up(self, *, at: float) -> None:
        ended, exit_code = self._process, self._process.returncode if self._process else 0
        assert ended is not None and ended.stdout is not None  # noqa: S101, PT018 - for the type checker
        self._kill_group(ended.pid)  # such as the beat, which outlives a killed worker
        while self.show():
            pass
        self._show_lines(self._lines.take_rest())
        if ended.stdout in self._selector.get_map():
            self._selector.unregister(ended.stdout)
        ended.stdout.close()
        self._process = None
        if not self._is_stopping:
            pause_s = self._restarts.pause_s(ran_s=at - self._started_at)
            self._start_at = at + pause_s
            self._output.line(OURS, f"{self.program.name} {_how(exit_code)}; starting it again in {pause_s:g} s.")

    def _show_lines(self, lines: Sequence[str]) -> None:
        for line in lines:
            if line.strip():
                self._output.line(self.program.name, line)

    @staticmethod
    def _kill_group(group: int) -> None:
        try:
            os.killpg(group, signal.SIGKILL)
        except ProcessLookupError:
            return  # nothing is left of it
        except PermissionError:
            return  # macOS says so of a group of which only a zombie is left


class Fleet:
    """All programs together. `stages` is the order in which they are stopped; no start waits for another."""

    def __init__(self, stages: Sequence[Sequence[Program]], *, output: Output, environment: Mapping[str, str]) -> None:
        self._output = output
        self._selector = selectors.DefaultSelector()
        self._stages = [
            [
                RunningProgram(program, output=output, selector=self._selector, environment=environment)
                for program in stage
            ]
            for stage in stages
        ]
        self._requests_to_stop = 0

    def request_stop(self) -> None:
        """The first call asks for an orderly end, the second one for an end at once. Safe in a signal handler."""
        self._requests_to_stop += 1

    def run(self, *, each_turn: Callable[[], None]) -> None:
        """Keeps all of them running until a stop is requested. `each_turn` is called about ten times a second."""
        for running in self._all():
            running.start_soon(at=monotonic())
        try:
            while not self._requests_to_stop:
                self._turn()
                each_turn()
            self._stop_in_order()
        finally:
            self._kill_all()

    def _turn(self) -> None:
        for key, _events in self._selector.select(_LOOK_EVERY_S):
            key.data()
        for running in self._all():
            running.look(at=monotonic())

    def _stop_in_order(self) -> None:
        self._output.line(OURS, "Stopping; Ctrl-C again ends everything at once.")
        for running in self._all():
            running.stay_down_once_ended()
        for stage in self._stages:
            for running in stage:
                running.ask_to_stop()
            deadlines = {running: monotonic() + running.program.stops_within_s for running in stage}
            while any(running.is_running for running in stage) and self._requests_to_stop < 2:
                self._turn()
                self._kill_the_late(deadlines)
        if self._requests_to_stop < 2:
            self._output.line(OURS, "Everything has stopped.")

    def _kill_the_late(self, deadlines: dict[RunningProgram, float]) -> None:
        late = [running for running, deadline in deadlines.items() if running.is_running and monotonic() >= deadline]
        for running in late:
            del deadlines[running]
            program = running.program
            self._output.line(OURS, f"{program.name} did not stop within {program.stops_within_s:g} s and is ended.")
            running.kill()

    def _kill_all(self) -> None:
        for running in self._all():
            running.stay_down_once_ended()
            running.kill()
        while any(running.is_running for running in self._all()):
            self._turn()
        self._selector.close()

    def _all(self) -> list[RunningProgram]:
        return [running for stage in self._stages for running in stage]


def inherited_environment(**more: str | Path) -> dict[str, str]:
    """Ours, and that a program's lines reach us as soon as they are written."""
    return {**os.environ, "PYTHONUNBUFFERED": "1", **{name: str(value) for name, value in more.items()}}


def _how(exit_code: int) -> str:
    if exit_code < 0:
        return f"was ended by {signal.Signals(-exit_code).name}"
    return f"ended with code {exit_code}"
