"""What has to be in place before the programs start: tables, static files, and a way in for the first person."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import django
from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.checks import CheckMessage, run_checks
from django.core.management import call_command
from django.db import Error as DatabaseFailure
from django.db import connection, connections
from django.db.migrations.executor import MigrationExecutor

from architect.supervisor.broker_folder import discard_unreadable
from architect.supervisor.preflight import CannotStart, unwritable


def prepare(tell: Callable[[str], None]) -> str | None:
    """Brings tables and static files up to date; returns the link for the first account while there is none."""
    django.setup()
    from architect.accounts.services import setup_link  # noqa: PLC0415 - it has models, so only after the set-up

    _check(tell)
    try:
        for name in discard_unreadable(settings.BROKER_DIR):
            tell(f"Removed {name}, which was not written to its end; nothing is lost by that.")
        _migrate(tell)
        _sync_providers(tell)
        _collect_static_files(tell)
        return setup_link()
    except DatabaseFailure as failure:
        reason = str(failure).strip().partition("\n")[0]
        raise CannotStart(f"The database {_database()} can't be used: {reason}.") from failure
    except OSError as failure:
        raise unwritable(Path(failure.filename or settings.VAR_DIR), failure) from failure
    finally:
        connections.close_all()


def _check(tell: Callable[[str], None]) -> None:
    """What Django and our rooms find wrong with the settings, in their words."""
    found = run_checks()
    errors = [message for message in found if message.is_serious()]
    if errors:
        raise CannotStart("\n".join(map(_in_words, errors)))
    for message in found:
        if not message.is_silenced():
            tell(_in_words(message))


def _in_words(message: CheckMessage) -> str:
    return " ".join(filter(None, (str(message.msg), message.hint, f"({message.id})")))


def _migrate(tell: Callable[[str], None]) -> None:
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        tell("Preparing the database …")
        call_command("migrate", verbosity=0, interactive=False)


def _sync_providers(tell: Callable[[str], None]) -> None:
    from llm_providers.declared.current import declaration  # noqa: PLC0415 - the room has models
    from llm_providers.declared.lines import WrongFile  # noqa: PLC0415
    from llm_providers.sync import sync  # noqa: PLC0415

    try:
        synced = sync(declaration())
    except WrongFile as failure:
        raise CannotStart(f"{settings.LLM_PROVIDERS_FILE} is not as it has to be.\n{failure}") from failure
    if synced.differing:
        tell(f"Switched by an operator, other than the file says: {', '.join(synced.differing)}.")


def _collect_static_files(tell: Callable[[str], None]) -> None:
    stamp = settings.VAR_DIR / "static.stamp"
    state = _state_of_static_sources()
    if settings.STATIC_ROOT.is_dir() and stamp.is_file() and stamp.read_text() == state:
        return
    tell("Collecting the static files …")
    call_command("collectstatic", verbosity=0, interactive=False)
    stamp.write_text(state)


def _state_of_static_sources() -> str:
    """Another value as soon as a source was added, removed or written, or is to be stored in another way."""
    state = hashlib.sha256(settings.STATICFILES_STORAGE.encode())
    for finder in get_finders():
        for name, storage in finder.list([]):
            source = Path(storage.path(name)).stat()
            state.update(f"{name}\0{source.st_size}\0{source.st_mtime_ns}\n".encode())
    return state.hexdigest()


def _database() -> str:
    """Which one, without its password."""
    chosen = settings.DATABASES["default"]
    return " at ".join(part for part in (str(chosen["NAME"]), chosen.get("HOST", "")) if part)
