"""Values out of foreign JSON: what is not what it should be, or fits no column, counts as not said."""

from typing import Any

import orjson

from architect.lib.storable import storable

LONGEST_NAME = 200
_LARGEST_COUNT = 2**31 - 1  # of a database's integer

UNREADABLE = (TypeError, AttributeError, LookupError, ValueError)  # JSON of another shape than expected


def count_of(value: Any) -> int | None:
    """A number of things, such as tokens."""
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST_COUNT
    return value if is_count else None


def name_of(value: Any) -> str | None:
    """A name to be kept and shown, cut to 200 characters."""
    if not isinstance(value, str):
        return None
    return storable(value).strip()[:LONGEST_NAME] or None


def can_be_called(name: str) -> bool:
    """Whether a model's name can be kept as it is: cut or cleaned it would name no model, or another one."""
    return name.isprintable() and 0 < len(name) <= LONGEST_NAME


def arguments_of(written: str) -> dict[str, Any]:
    """A tool call's arguments as an object, which some wires want; what a model wrote that is none is an empty one."""
    try:
        arguments = orjson.loads(written)
    except orjson.JSONDecodeError:
        return {}
    return arguments if isinstance(arguments, dict) else {}


def text_of(value: Any) -> str:
    """`value`, which has to be a text; a TypeError otherwise."""
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} where a text is due")
    return value
