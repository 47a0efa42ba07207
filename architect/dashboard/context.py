"""What every page needs around its content."""

from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import gettext as _

from architect.accounts.models import User
from architect.dashboard.navigation import Entry, entries
from llm_providers.routing.keeper import snapshot_keeper


@dataclass(frozen=True, slots=True)
class Frame:
    name: str
    theme: str
    navigation: list[Entry]
    engine_note: str = ""


def frame(request: HttpRequest) -> dict[str, Frame]:
    person = getattr(request, "user", None)
    if not isinstance(person, User):
        return {"frame": Frame(settings.UI_NAME, settings.UI_DEFAULT_THEME, [])}
    return {"frame": Frame(settings.UI_NAME, person.theme, entries(request), _engine_note())}


def _engine_note() -> str:
    """What stands on pages with answers while there is nothing but random words to be had."""
    known = snapshot_keeper().load()
    serves_test_model = any(model.is_test for provider in known.providers for model in provider.models)
    if known.real_model_was_seen or not serves_test_model:
        return ""
    return _("Built-in test model: random words, to try the plumbing")
