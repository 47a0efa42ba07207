"""Runs a command with a PostgreSQL and a Redis of its own: python scripts/with_services.py COMMAND …

Both listen on free ports of loopback, keep their data in a temporary folder and end with the command, whose exit code
is returned. The command finds them in DATABASE_URL and REDIS_URL.
"""

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def main() -> int:
    with (
        tempfile.TemporaryDirectory(prefix="services-") as folder,
        _redis() as redis,
        _postgres(Path(folder)) as database,
    ):
        environment = {**os.environ, "DATABASE_URL": database, "REDIS_URL": redis}
        return subprocess.run(sys.argv[1:], env=environment, check=False).returncode


@contextmanager
def _redis() -> Iterator[str]:
    port = _free_port()
    command = [_program("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        _wait_for(port)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait()


@contextmanager
def _postgres(folder: Path) -> Iterator[str]:
    """A cluster of its own. It refuses to run as root, so root lends it the user of the Debian package."""
    port, cluster = _free_port(), folder / "cluster"
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    _as_postgres("initdb", "-D", str(cluster), "--username=architect", "--auth=trust")
    _as_postgres("pg_ctl", "-D", str(cluster), "-o", options, "-l", str(folder / "log"), "-w", "start")
    try:
        yield f"postgres://architect@127.0.0.1:{port}/postgres"
    finally:
        _as_postgres("pg_ctl", "-D", str(cluster), "-m", "immediate", "-w", "stop")


def _as_postgres(name: str, *options: str) -> None:
    user = pwd.getpwnam("postgres").pw_name if os.geteuid() == 0 else None
    subprocess.run([_program(name), *options], user=user, cwd="/", stdout=subprocess.DEVNULL, check=True)


def _program(name: str) -> str:
    """The newest Debian version, which lies outside the PATH, or what the PATH has."""
    packaged = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    found = str(packaged[-1]) if packaged else shutil.which(name)
    if found is None:
        sys.exit(f"{name} is missing; get it with: apt-get install postgresql redis-server")
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(port: int) -> None:
    give_up_at = time.monotonic() + 20
    while time.monotonic() < give_up_at:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    sys.exit(f"nothing answers on port {port}")


if __name__ == "__main__":
    sys.exit(main())
