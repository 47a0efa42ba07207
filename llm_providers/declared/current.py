"""The configured file as it stands now, and the keys that stand in it: they work, and are never stored."""

from pathlib import Path

from django.conf import settings

from llm_providers.declared.file import Declaration, read_declaration
from llm_providers.declared.lines import WrongFile

_read: dict[tuple[str, int], dict[str, str]] = {}


def declaration() -> Declaration:
    """What the configured file says now; nothing where there is no file.

    Raises:
        WrongFile: with every mistake in it.
    """
    path = Path(settings.LLM_PROVIDERS_FILE)
    return read_declaration(path, variables=settings.SECRET_ENVIRONMENT) if path.exists() else Declaration()


def literal_key(provider: str) -> str | None:
    """The provider's key from the file itself; read again when the file was written."""
    path = Path(settings.LLM_PROVIDERS_FILE)
    try:
        state = (str(path), path.stat().st_mtime_ns)
    except OSError:
        return None
    if state not in _read:
        _read.clear()
        _read[state] = _keys()
    return _read[state].get(provider)


def _keys() -> dict[str, str]:
    try:
        return {one.name: one.literal_key for one in declaration().providers if one.literal_key}
    except WrongFile:  # told at start and by `manage.py check`; until it is mended the rows of before are in force
        return {}
