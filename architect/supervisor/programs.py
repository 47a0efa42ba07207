"""The programs of one machine, as command lines."""

import sys
from typing import TYPE_CHECKING

from architect.supervisor.processes import Program

if TYPE_CHECKING:
    from django.conf import LazySettings

_APPLICATION = "architect.asgi:application"
_REQUESTS_END_WITHIN_S = 3
_WORKER_ENDS_WITHIN_S = 10
_ENGINE_ENDS_WITHIN_S = 5
_AFTER_WEB_S = 1.0  # on a small machine the first page would wait for everybody's imports


def stages(settings: "LazySettings") -> list[list[Program]]:
    """In the order in which they are stopped: who asks first, who answers last."""
    workers = [_worker("quick", threads=4, options=("-B",)), _worker("slow", threads=2)]
    engine = Program(
        name="engine",
        command=(sys.executable, "manage.py", "engine"),
        stops_within_s=_ENGINE_ENDS_WITHIN_S,
        starts_after_s=_AFTER_WEB_S,
    )
    return [[_web(settings)], workers, [engine] if settings.ENGINE_ENABLED != "false" else []]


def _web(settings: "LazySettings") -> Program:
    """Running answers get their time after the requests; both servers say only what went wrong."""
    host, port = settings.HOST, str(settings.PORT)
    command: tuple[str, ...]
    if settings.SERVER == "daphne":
        command = ("daphne", "-b", host, "-p", port, "-v", "0", _APPLICATION)
    else:
        command = ("uvicorn", _APPLICATION, "--host", host, "--port", port, "--loop", "uvloop")
        command += ("--no-access-log", "--log-level", "warning")
        command += ("--timeout-graceful-shutdown", str(_REQUESTS_END_WITHIN_S))
    stops_within_s = settings.CHAT_SHUTDOWN_GRACE_S + 5
    return Program(name="web", command=(sys.executable, "-m", *command), stops_within_s=stops_within_s)


def _worker(queue: str, *, threads: int, options: tuple[str, ...] = ()) -> Program:
    """Workers of one machine have no need to know of each other."""
    command: tuple[str, ...] = (
        sys.executable,
        "-m",
        "celery",
        "--quiet",
        "-A",
        "architect.celery",
        "worker",
        "-Q",
        queue,
    )
    command += ("--pool", "threads", "--concurrency", str(threads), "-n", f"{queue}@%h")
    command += ("--without-gossip", "--without-mingle", "--without-heartbeat", *options)
    return Program(name=queue, command=command, stops_within_s=_WORKER_ENDS_WITHIN_S, starts_after_s=_AFTER_WEB_S)
