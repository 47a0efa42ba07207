"""Misconfigurations of this room, told at start."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from architect.accounts.models import Theme


@register()
def check_default_theme(**_: Any) -> list[CheckMessage]:
    if settings.UI_DEFAULT_THEME in Theme.values:
        return []
    hint = f"Write one of {', '.join(Theme.values)}."
    return [Error(f"UI_DEFAULT_THEME is {settings.UI_DEFAULT_THEME!r}.", hint=hint, id="accounts.E001")]
