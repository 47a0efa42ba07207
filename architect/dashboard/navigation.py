"""The entries of the side bar. A room's pages come in by one line here."""

from dataclasses import dataclass

from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True, slots=True)
class Page:
    """`keys` open it; `permission` is what a person needs to see it, empty: signed in is enough."""

    route: str
    title: str | Promise
    icon: str
    keys: str = ""
    permission: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    title: str
    url: str
    icon: str
    is_current: bool
    keys: str = ""
    count: int | None = None
    count_label: str = ""


PAGES = (
    Page("dashboard:home", _("Home"), "home", keys="g h"),
    Page("dashboard:providers", _("Providers"), "server", keys="g p", permission="llm_providers.view_provider"),
    Page("dashboard:requests", _("Requests"), "list", keys="g r"),
    Page("chat:index", _("Chat"), "message-circle", keys="g c", permission="chat.add_conversation"),
)


def entries(request: HttpRequest) -> list[Entry]:
    """What this person may open; the one they are in is marked."""
    return [
        Entry(str(page.title), url, page.icon, is_current=_is_current(request.path, url), keys=page.keys)
        for page in PAGES
        if not page.permission or request.user.has_perm(page.permission)
        for url in [reverse(page.route)]
    ]


def _is_current(path: str, url: str) -> bool:
    return path == url if url == "/" else path.startswith(url)
