"""What can be found wrong before anything is started, each in a sentence that says what to do."""

import errno
import fcntl
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from django.conf import LazySettings

SERVERS = ("uvicorn", "daphne")
ENGINE_CHOICES = ("auto", "true", "false")


class CannotStart(Exception):
    """The text is one sentence for the person at the terminal."""


def load_settings() -> "LazySettings":
    """Django's settings, read now."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "architect.settings")
    # Not at the top: this module is also the place where a failure of these imports becomes a sentence.
    from django.conf import settings  # noqa: PLC0415
    from django.core.exceptions import ImproperlyConfigured  # noqa: PLC0415

    try:
        settings.configured or settings.VAR_DIR  # noqa: B018 - the first look reads them
    except OSError as failure:
        raise unwritable(Path(failure.filename or ".").parent, failure) from failure
    except (ImproperlyConfigured, ValueError) as failure:
        raise CannotStart(
            f"A setting in the environment or in .env can't be read: {str(failure).rstrip('.')}."
        ) from failure
    return settings


def check_choices(*, server: str, engine: str) -> None:
    if server not in SERVERS:
        raise CannotStart(f"SERVER={server} is neither uvicorn nor daphne; set one of them or leave it out.")
    if engine not in ENGINE_CHOICES:
        raise CannotStart(f"ENGINE_ENABLED={engine} is neither auto, true nor false; set one of them or leave it out.")


def check_port(*, host: str, port: int) -> None:
    """Takes the port for a moment, because only that tells whether the web process can."""
    if not 0 < port < 65_536:  # the resolver would take such a number modulo 65,536
        raise CannotStart(f"PORT={port} is no port; take one between 1024 and 65535.")
    try:
        family, kind, protocol, _name, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except (socket.gaierror, UnicodeError) as failure:  # the latter for an empty part, as in a..b
        raise CannotStart(f"HOST={host} is no address of this machine; 127.0.0.1 is the usual one.") from failure
    except OSError as failure:
        raise _port_problem(host, port, failure) from failure


def _port_problem(host: str, port: int, failure: OSError) -> CannotStart:
    other = f"`make run PORT={port + 1 if 1023 < port < 65535 else 8001}`, or set PORT in .env"
    if failure.errno == errno.EADDRINUSE:
        return CannotStart(f"Port {port} is in use by another program; take another one: {other}.")
    if failure.errno == errno.EACCES:
        return CannotStart(f"Port {port} may not be opened by this user; take one above 1023: {other}.")
    if failure.errno == errno.EADDRNOTAVAIL:
        return CannotStart(f"HOST={host} is no address of this machine; 127.0.0.1 is the usual one.")
    return CannotStart(f"Port {port} of {host} can't be opened: {failure.strerror}.")


def lock_folder(var_dir: Path) -> TextIO:
    """Keeps a second start out of the same folder for as long as the returned file is open.

    Raises `CannotStart` if the folder can't be written or another process holds it.
    """
    try:
        var_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (var_dir / "supervisor.lock").open("a+")
    except OSError as failure:
        raise unwritable(var_dir, failure) from failure
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as failure:
        lock.seek(0)
        holder = lock.read().strip() or "unknown"
        lock.close()
        raise CannotStart(
            f"It is running already (process {holder}) with the folder {var_dir}; stop that one first,"
            " or give this one a folder and a port of its own with VAR_DIR and PORT."
        ) from failure
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def unwritable(folder: Path, failure: OSError) -> CannotStart:
    if failure.errno == errno.ENOSPC:
        return CannotStart(f"The disk that holds {folder} is full; make room, or name another folder with VAR_DIR.")
    reason = failure.strerror or str(failure)
    return CannotStart(
        f"The folder {folder} can't be written ({reason}); make it writable, or name another one with VAR_DIR."
    )
