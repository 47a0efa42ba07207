"""Texts as every database takes them: PostgreSQL refuses NUL, and UTF-8 has no form for half a surrogate pair."""

from typing import Any, TypeVar, cast

T = TypeVar("T")


def storable(value: T) -> T:
    """The same value with every text inside it storable; lists, tuples and dicts are gone through.

    A NUL is left out, half a surrogate pair becomes a question mark.
    """
    return cast("T", _storable(value))


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "").encode(errors="replace").decode()
    if isinstance(value, list | tuple):
        return type(value)(_storable(item) for item in value)
    if isinstance(value, dict):
        return {_storable(key): _storable(item) for key, item in value.items()}
    return value
