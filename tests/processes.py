"""Real web processes on the test database, to be killed, doubled and restarted."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Self
from urllib.parse import quote

from django.conf import settings
from django.db import connection

from architect.accounts.models import User

ROOT = Path(__file__).resolve().parent.parent


def database_url() -> str:
    """The database of the running test, as another process finds it."""
    chosen = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{chosen['NAME']}"
    place = f"{chosen['HOST'] or 'localhost'}:{chosen['PORT'] or 5432}"
    return f"postgres://{quote(chosen['USER'])}:{quote(chosen['PASSWORD'])}@{place}/{chosen['NAME']}"


def environment(**changes: str) -> dict[str, str]:
    return {**os.environ, "DATABASE_URL": database_url(), "LOG_LEVEL": "WARNING", **changes}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class WebProcess:
    """uvicorn with the product on a port of its own; a context manager that ends it in any case."""

    def __init__(self, **variables: str) -> None:
        self.port = free_port()
        self._variables = variables

    @property
    def origin(self) -> str:
        return f"http://localhost:{self.port}"

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "uvicorn", "architect.asgi:application"]
        options = ["--host", "127.0.0.1", "--port", str(self.port), "--log-level", "warning"]
        env = environment(PORT=str(self.port), **self._variables)
        self._process = subprocess.Popen([*command, *options], cwd=ROOT, env=env)
        self._wait_until_it_answers()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """As the out-of-memory killer does it."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def _wait_until_it_answers(self) -> None:
        give_up_at = time.monotonic() + 30
        while time.monotonic() < give_up_at:
            if self._process.poll() is not None:
                raise RuntimeError(f"the web process ended with {self._process.returncode}")
            try:
                with urllib.request.urlopen(f"{self.origin}/healthz", timeout=2):
                    return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.05)
        raise RuntimeError("the web process does not answer")


def cookie_of(person: User) -> str:
    """A signed-in session of this person, as a Cookie header."""
    from django.test import Client

    client = Client()
    client.force_login(person)
    return f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"
