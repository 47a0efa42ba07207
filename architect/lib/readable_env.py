"""django-environ's reader, whose complaints name the variable and what may stand there."""

import warnings
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

_ALLOWED = {int: "a whole number", float: "a number", bool: "true or false"}
_BOOLEANS = ("true", "false", "on", "off", "yes", "no", "ok", "y", "n", "1", "0", "")


class ReadableEnv(environ.Env):  # type: ignore[misc]  # it has no types
    """Raises `ImproperlyConfigured` with one sentence."""

    def get_value(self, var: str, cast: Any = None, **options: Any) -> Any:
        written = self.ENVIRON.get(var, "")
        if cast is bool and written.strip().lower() not in _BOOLEANS:
            raise ImproperlyConfigured(_complaint(var, written, cast))
        if cast in (int, float) and not written.strip():
            return options["default"]
        try:
            return super().get_value(var, cast=cast, **options)
        except ValueError as failure:
            raise ImproperlyConfigured(_complaint(var, written, cast)) from failure

    def database(self, var: str) -> dict[str, Any]:
        """Django's settings for the address in `var`, which is never shown: it may hold a password."""
        allowed = "write postgres://user:password@host/name, or sqlite:///path"
        try:
            with warnings.catch_warnings(action="ignore"):  # it would show the address
                chosen: dict[str, Any] = self.db(var)
        except (ValueError, ImproperlyConfigured) as failure:
            raise ImproperlyConfigured(f"{var} is no address of a database; {allowed}.") from failure
        if not chosen.get("ENGINE") or not chosen.get("NAME"):
            raise ImproperlyConfigured(f"{var} is no address of a database; {allowed}.")
        return chosen


def _complaint(var: str, written: str, cast: Any) -> str:
    return f"{var} is {written!r}; write {_ALLOWED.get(cast, 'another value')}."
