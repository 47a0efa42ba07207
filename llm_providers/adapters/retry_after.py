"""How long a provider asked us to wait, in any of the forms in which providers say it."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_WAIT_S = 3600.0

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
# OpenAI: x-ratelimit-reset-tokens "6m0s"; Anthropic: anthropic-ratelimit-tokens-reset "2026-11-23T10:00:00Z".
_RESET = re.compile(r"(?:x|anthropic)-ratelimit-(?:reset-)?([a-z-]+?)(?:-reset)?")


def wait_asked_for(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Seconds from the headers `retry-after-ms`, `retry-after` or those of an exhausted limit; None without any.

    Negative times mean nothing and are ignored; more than an hour counts as an hour.
    """
    stated = (
        _milliseconds(headers.get("retry-after-ms", "")),
        _seconds(headers.get("retry-after", ""), now=now),
        _reset_of_exhausted(headers, now=now),
    )
    return next((min(wait, LONGEST_WAIT_S) for wait in stated if wait is not None), None)


def _milliseconds(text: str) -> float | None:
    wait = _number(text)
    return None if wait is None else wait / 1000


def _seconds(text: str, *, now: datetime) -> float | None:
    wait = _number(text)
    return _until_date(text, now=now) if wait is None else wait


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if number >= 0 else None  # false for NaN as well


def _until_date(text: str, *, now: datetime) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return _until(moment, now=now)


def _until(moment: datetime, *, now: datetime) -> float | None:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    wait = (aware - now).total_seconds()
    return wait if wait >= 0 else None


def _reset_of_exhausted(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """The longest wait among the limits of which nothing remains; the others are not in the way."""
    waits = []
    for name, value in headers.items():
        match = _RESET.fullmatch(name.lower())
        if match is None or "reset" not in name.lower() or not _is_exhausted(headers, limit=match[1]):
            continue
        wait = _duration_or_moment(value, now=now)
        if wait is not None:
            waits.append(wait)
    return max(waits, default=None)


def _is_exhausted(headers: Mapping[str, str], *, limit: str) -> bool:
    names = (f"x-ratelimit-remaining-{limit}", f"anthropic-ratelimit-{limit}-remaining")
    return any(headers.get(name, "").strip() == "0" for name in names)


def _duration_or_moment(text: str, *, now: datetime) -> float | None:
    parts = _DURATION.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        return sum(float(number) * _UNIT_S[unit] for number, unit in parts)
    try:
        return _until(datetime.fromisoformat(text), now=now)
    except ValueError:
        return None
