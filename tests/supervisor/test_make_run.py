"""`make run` as a person meets it: the whole product on a bare machine, from the first start to Ctrl-C."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import closing, suppress
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Self
from urllib.parse import urlencode

from websockets.sync.client import connect

from llm_providers.engine.choice import TEST_MODEL
from tests.processes import ROOT, free_port

PATIENCE_S = 60
# As on a machine where nothing was set up.
UNSET = ("DATABASE_URL", "REDIS_URL", "SERVER")
SERVED = """
    SELECT provider.health, model.name, model.is_test
    FROM llm_providers_provider AS provider JOIN llm_providers_servedmodel AS model ON model.provider_id = provider.id
    WHERE provider.name = 'engine' AND model.missing_since IS NULL
"""


class MakeRun:
    """`python -m architect.supervisor` with everything it keeps in `folder`; leaving the block ends it in any case."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.port = free_port()
        self.origin = f"http://localhost:{self.port}"
        self._folder = folder
        self._variables = variables
        self._written = folder / "written"

    def __enter__(self) -> Self:
        inherited = {name: value for name, value in os.environ.items() if name not in UNSET}
        places = {"VAR_DIR": str(self._folder / "var"), "MODELS_DIR": str(self._folder / "models")}
        with self._written.open("wb") as written:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "architect.supervisor"],
                cwd=ROOT,
                env={**inherited, **places, "PORT": str(self.port), **self._variables},
                stdout=written,
                stderr=written,
            )
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            left = self.programs()
            self._process.kill()
            self._process.wait()
            for pid in left & set(parents()):
                with suppress(ProcessLookupError):  # on Linux the kernel ends most of them by itself
                    os.kill(pid, signal.SIGKILL)

    @property
    def text(self) -> str:
        return self._written.read_text()

    def until(self, happened: Callable[[], object]) -> None:
        give_up_at = time.monotonic() + PATIENCE_S
        while not happened():
            assert self._process.poll() is None, self.text
            assert time.monotonic() < give_up_at, self.text
            time.sleep(0.05)

    def until_ready(self) -> None:
        self.until(lambda: "Ready in" in self.text)

    def programs(self) -> set[int]:
        """Everything that it started, and what that started in turn."""
        parent_of = parents()
        found: set[int] = set()
        newest = {self._process.pid}
        while newest:
            newest = {pid for pid, parent in parent_of.items() if parent in newest}
            found |= newest
        return found

    def served(self) -> list[tuple[str, str, int]]:
        with closing(sqlite3.connect(self._folder / "var" / "architect.sqlite3")) as database:
            return database.execute(SERVED).fetchall()

    def stop(self, number: signal.Signals) -> int:
        self._process.send_signal(number)
        return self._process.wait(PATIENCE_S)


def parents() -> dict[int, int]:
    """The parent of each process that lives; one that is dead and not yet noticed is left out."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True)
    rows = [line.split() for line in listed.stdout.splitlines()]
    return {int(pid): int(parent) for pid, parent, state in rows if not state.startswith("Z")}


def page(address: str) -> tuple[int, str]:
    with urllib.request.urlopen(address, timeout=PATIENCE_S) as answer:
        return answer.status, answer.read().decode()


def one_time_link(text: str) -> str:
    found = re.search(r"works once\): (http://localhost:\d+/welcome/\S+/)$", text, re.MULTILINE)
    assert found is not None, text
    return found.group(1)


def cookie_of_the_first_account(link: str) -> str:
    """Makes the account as a browser does; the session's cookie as a header."""
    jar = CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    with browser.open(link, timeout=PATIENCE_S) as answer:
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', answer.read().decode())
    assert token is not None
    password = "correct horse battery"
    fields = {"username": "ada", "password1": password, "password2": password, "csrfmiddlewaretoken": token.group(1)}
    with browser.open(link, urlencode(fields).encode(), timeout=PATIENCE_S) as answer:
        assert answer.status == 200
    return "; ".join(f"{cookie.name}={cookie.value}" for cookie in jar)


def test_it_starts_everything_on_a_bare_machine_and_ctrl_c_ends_all_of_it(tmp_path):
    with MakeRun(tmp_path) as first:
        first.until_ready()
        first.until(first.served)
        programs = first.programs()

        assert first.served() == [("up", TEST_MODEL, 1)]
        assert page(f"{first.origin}/healthz")[0] == 200
        assert "csrfmiddlewaretoken" in page(f"{first.origin}/sign-in/")[1]
        assert page(one_time_link(first.text))[0] == 200
        assert len(programs) >= 5  # web, two workers, the engine and its llama.cpp

        assert first.stop(signal.SIGINT) == 0
        assert programs & set(parents()) == set()
        assert first.served() == []
        assert first.text.startswith("Preparing the database")
        assert first.text.endswith("Everything has stopped.\n")
        assert "Traceback" not in first.text

    with MakeRun(tmp_path, ENGINE_ENABLED="false") as second:
        second.until_ready()

        assert "Preparing" not in second.text
        assert "Collecting" not in second.text
        assert second.stop(signal.SIGINT) == 0


def test_it_runs_on_daphne_too_pages_and_sockets(tmp_path):
    with MakeRun(tmp_path, SERVER="daphne", ENGINE_ENABLED="false") as run:
        run.until_ready()
        programs = run.programs()
        headers = {"Cookie": cookie_of_the_first_account(one_time_link(run.text))}

        with connect(f"ws://localhost:{run.port}/ws/events/", origin=run.origin, additional_headers=headers) as socket:
            socket.send(json.dumps({"t": "watch", "topics": "forged"}))
            answer = json.loads(socket.recv(timeout=PATIENCE_S))

        assert page(f"{run.origin}/sign-in/")[0] == 200
        assert answer["code"] == "not_found"
        assert run.stop(signal.SIGTERM) == 0
        assert programs & set(parents()) == set()
