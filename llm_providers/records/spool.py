"""Where the end of a request waits when the database does not take it: one file each, on disk before it counts."""

import logging
import os
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings
from django.db import DataError, IntegrityError, transaction
from django.utils.dateparse import parse_datetime

from llm_providers.models import Request
from llm_providers.records.rows import AttemptRow, ContentRow, FinalRows, apply_final

logger = logging.getLogger(__name__)
_TIMES = ("first_content_at", "finished_at")


def folder() -> Path:
    return Path(settings.VAR_DIR) / "spool"


def put(final: FinalRows) -> None:
    """Writes and syncs the file.

    Raises:
        OSError: the disk does not take it either.
    """
    folder().mkdir(parents=True, exist_ok=True)
    draft = folder() / f"{final.public_id}.part"
    with draft.open("wb") as file:
        file.write(orjson.dumps(asdict(final)))
        file.flush()
        os.fsync(file.fileno())
    draft.rename(draft.with_suffix(".json"))
    _sync_folder()


def waiting() -> list[Path]:
    return sorted(folder().glob("req_*.json"))


def bring_in() -> int:
    """Applies what waits, oldest first, and says how much that was. What can't be read is set aside, never dropped."""
    brought = 0
    for path in waiting():
        try:
            final = _read(path)
            with transaction.atomic():
                apply_final(final)
        except (orjson.JSONDecodeError, KeyError, TypeError, DataError, IntegrityError, Request.DoesNotExist):
            logger.exception("A spooled record can't be taken in; it is kept as %s", path.with_suffix(".unreadable"))
            path.rename(path.with_suffix(".unreadable"))
            continue
        path.unlink(missing_ok=True)
        brought += 1
    return brought


def _read(path: Path) -> FinalRows:
    raw: dict[str, Any] = orjson.loads(path.read_bytes())
    request = {key: _time(value) if key in _TIMES else value for key, value in raw["request"].items()}
    attempts = [AttemptRow(**{**row, "started_at": _time(row["started_at"])}) for row in raw["attempts"]]
    return FinalRows(raw["public_id"], request, ContentRow(**raw["content"]), attempts)


def _time(text: str | None) -> datetime | None:
    return parse_datetime(text) if text else None


def _sync_folder() -> None:
    """A file's name is on disk only when its folder is."""
    descriptor = os.open(folder(), os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
