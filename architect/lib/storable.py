"""Texts as every database takes them: PostgreSQL refuses the character NUL in texts and in JSON."""

from typing import Any, TypeVar, cast

T = TypeVar("T")


def storable(value: T) -> T:
    """The same value without NUL in any text inside it; lists, tuples and dicts are gone through."""
    return cast("T", _without_nul(value))


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, list | tuple):
        return type(value)(_without_nul(item) for item in value)
    if isinstance(value, dict):
        return {_without_nul(key): _without_nul(item) for key, item in value.items()}
    return value
