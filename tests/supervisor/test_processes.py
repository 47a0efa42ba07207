"""Real programs, tiny ones. Each turn of the fleet looks whether what the test waits for has happened."""

import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import pytest

from architect.supervisor.output import Output
from architect.supervisor.processes import Fleet, Program, inherited_environment
from tests.processes import ROOT

PATIENCE_S = 20
SLEEP = "import time; time.sleep(600)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up'); time.sleep(600)"
WITH_ORPHAN = f"""
import subprocess, sys, time
print("orphan", subprocess.Popen([sys.executable, "-c", "{STUBBORN}"], stdout=subprocess.DEVNULL).pid)
"""
LEAVES_A_NOTE = """
import signal, sys, time
def leave(*_):
    with open(sys.argv[1], "a") as notes:
        notes.write(sys.argv[2] + " ")
    sys.exit()
signal.signal(signal.SIGTERM, leave)
print("up")
while True:
    time.sleep(600)
"""
FLEET_OF_ONE = f"""
import os, sys
from architect.supervisor.output import Output
from architect.supervisor.processes import Fleet, Program
command = (sys.executable, "-c", "import os; print(os.getpid()); {SLEEP}")
program = Program(name="web", command=command, stops_within_s=1)
environment = dict(os.environ, PYTHONUNBUFFERED="1")
Fleet([[program]], output=Output(sys.stdout, environment={{}}), environment=environment).run(each_turn=lambda: None)
"""


class Run:
    """A fleet that is stopped as soon as the test has seen what it waited for."""

    def __init__(self, *stages: list[Program]) -> None:
        self._written = io.StringIO()
        self.fleet = Fleet(stages, output=Output(self._written, environment={}), environment=inherited_environment())

    @property
    def text(self) -> str:
        return self._written.getvalue()

    def until(self, happened: Callable[[], bool], *, requests_to_stop: int = 1) -> str:
        give_up_at = monotonic() + PATIENCE_S

        def look() -> None:
            if happened() or monotonic() > give_up_at:
                for _ in range(requests_to_stop):
                    self.fleet.request_stop()

        self.fleet.run(each_turn=look)
        assert monotonic() < give_up_at, self.text
        return self.text


def program(name: str, code: str, *arguments: str, stops_within_s: float = PATIENCE_S) -> Program:
    return Program(name=name, command=(sys.executable, "-c", code, *arguments), stops_within_s=stops_within_s)


def is_alive(pid: int) -> bool:
    """A dead process whose new parent has not taken note of it yet counts as dead."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


def wait_until_dead(pid: int) -> None:
    give_up_at = monotonic() + PATIENCE_S
    while is_alive(pid):
        assert monotonic() < give_up_at


def test_it_shows_what_the_programs_write():
    run = Run([program("web", f"print('hello'); print(); {SLEEP}")])

    text = run.until(lambda: "hello" in run.text)

    assert "web    | hello\nStopping;" in text


def test_it_starts_again_what_has_ended_and_says_so():
    run = Run([program("quick", "print('hello'); raise SystemExit(3)")])

    text = run.until(lambda: run.text.count("| hello") == 2)

    assert "quick ended with code 3; starting it again in 0.5 s.\n" in text


def test_it_names_the_signal_that_ended_a_program():
    run = Run([program("slow", "import os; os.kill(os.getpid(), 9)")])

    text = run.until(lambda: "starting it again" in run.text)

    assert "slow was ended by SIGKILL; starting it again in 0.5 s.\n" in text


def test_it_stops_them_stage_by_stage(tmp_path):
    notes = tmp_path / "notes"
    stages = [[program(name, LEAVES_A_NOTE, str(notes), name)] for name in ("web", "quick", "engine")]
    run = Run(*stages)

    run.until(lambda: run.text.count("| up") == 3)

    assert notes.read_text() == "web quick engine "


def test_it_does_not_start_anything_while_it_stops(tmp_path):
    ends_when_asked = program("web", LEAVES_A_NOTE, str(tmp_path / "notes"), "web")
    run = Run([ends_when_asked])

    text = run.until(lambda: "| up" in run.text)

    assert "starting it again" not in text
    assert text.endswith("Everything has stopped.\n")


def test_it_ends_what_does_not_stop_in_its_time():
    run = Run([program("web", STUBBORN, stops_within_s=0.2)])

    text = run.until(lambda: "| up" in run.text)

    assert text.count("web did not stop within 0.2 s and is ended.\n") == 1
    assert text.endswith("Everything has stopped.\n")


def test_a_second_request_ends_everything_at_once():
    run = Run([program("web", STUBBORN, stops_within_s=600)], [program("engine", STUBBORN, stops_within_s=600)])

    text = run.until(lambda: run.text.count("| up") == 2, requests_to_stop=2)

    assert "did not stop" not in text


def test_it_ends_what_a_dead_program_has_left_behind():
    run = Run([program("quick", WITH_ORPHAN)])

    text = run.until(lambda: "starting it again" in run.text)

    wait_until_dead(int(text.partition("orphan ")[2].split()[0]))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can tie a process to its parent")
def test_no_program_outlives_a_killed_supervisor():
    with subprocess.Popen([sys.executable, "-c", FLEET_OF_ONE], cwd=ROOT, stdout=subprocess.PIPE, text=True) as ours:
        assert ours.stdout is not None
        pid = int(ours.stdout.readline().partition("|")[2])
        assert is_alive(pid)

        os.kill(ours.pid, signal.SIGKILL)

    wait_until_dead(pid)
