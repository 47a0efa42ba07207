"""`python -m architect.supervisor`: prepares, starts and watches everything until Ctrl-C."""

import contextlib
import os
import signal
import sys
from pathlib import Path
from time import monotonic

from architect.supervisor.output import OURS, Output
from architect.supervisor.preflight import CannotStart, check_choices, check_port, load_settings, lock_folder
from architect.supervisor.processes import Fleet, inherited_environment

_BASE_DIR = Path(__file__).resolve().parents[2]


def main() -> int:
    """The exit code: 0 after an orderly end, 1 with one sentence if it cannot start."""
    output = Output(sys.stdout, environment=os.environ)
    os.chdir(_BASE_DIR)
    try:
        _run(output, started_at=monotonic())
    except CannotStart as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read our lines has gone, and the interpreter must not try again at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


def _run(output: Output, *, started_at: float) -> None:
    os.umask(0o077)  # what people ask and models answer lies under var/
    settings = load_settings()
    check_choices(server=settings.SERVER, engine=settings.ENGINE_ENABLED)
    with contextlib.closing(lock_folder(settings.VAR_DIR)):
        check_port(host=settings.HOST, port=settings.PORT)
        # Imported late, so that the sentences above come at once.
        from architect.supervisor.preparation import prepare  # noqa: PLC0415
        from architect.supervisor.programs import stages  # noqa: PLC0415
        from architect.supervisor.readiness import readiness_watch  # noqa: PLC0415

        link = prepare(lambda text: output.line(OURS, text))
        _greet(output, address=settings.PUBLIC_URL, link=link)
        environment = inherited_environment(TMPDIR=_private_temporary_folder(settings.VAR_DIR))
        fleet = Fleet(stages(settings), output=output, environment=environment)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: fleet.request_stop())
        fleet.run(
            each_turn=readiness_watch(host=settings.HOST, port=settings.PORT, started_at=started_at, output=output)
        )


def _greet(output: Output, *, address: str, link: str | None) -> None:
    output.line(OURS, f"Architect Dashboard: {address}")
    if link is not None:
        output.line(OURS, f"Create the first administrator here (the link works once): {link}")
    output.line(OURS, "Ctrl-C stops everything.")


def _private_temporary_folder(var_dir: Path) -> Path:
    """The file-backed broker moves each message through the temporary folder; within one disk that is atomic.

    What is left there belongs to processes that were killed.
    """
    folder = var_dir / "tmp"
    folder.mkdir(exist_ok=True)
    for left in folder.glob("*.msg"):
        left.unlink()
    return folder


if __name__ == "__main__":
    sys.exit(main())
