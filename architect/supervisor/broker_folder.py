"""Mends the folder of the file-backed broker while nobody uses it."""

import json
from pathlib import Path


def discard_unreadable(folder: Path) -> list[str]:
    """Removes files that a killed writer or a loss of power left empty or half written; returns their names.

    An unreadable message costs a worker its life, an unreadable binding each of its lives. Neither holds anything that
    could be lost: the job is a row that is woken again, and a binding is written at the next use.
    """
    broken = [path for path in (*folder.glob("*.msg"), *folder.glob("control/*.exchange")) if not _is_readable(path)]
    for path in broken:
        path.unlink()
    return [path.name for path in broken]


def _is_readable(path: Path) -> bool:
    try:
        json.loads(path.read_bytes())
    except ValueError:
        return False
    return True
