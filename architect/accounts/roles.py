"""Roles are Django groups; what each may do stands here and is brought into the database by every `migrate`."""

from enum import StrEnum
from typing import Any

from django.apps import AppConfig


class RoleName(StrEnum):
    VIEWER = "viewer"
    MEMBER = "member"
    OPERATOR = "operator"
    AUDITOR = "auditor"
    ADMIN = "admin"


_VIEWER = frozenset({"llm_providers.view_provider", "llm_providers.view_servedmodel"})
_MEMBER = _VIEWER | {"chat.add_conversation"}
_OPERATOR = _MEMBER | {
    "llm_providers.add_provider",
    "llm_providers.change_provider",
    "llm_providers.view_breaker",
    "llm_providers.view_breakerevent",
    "llm_providers.view_request",
    "llm_providers.view_attempt",
}
_AUDITOR = _VIEWER | {
    "llm_providers.view_request",
    "llm_providers.view_attempt",
    "llm_providers.read_content",
    "accounts.view_auditentry",
}
_ADMIN = (
    _OPERATOR
    | _AUDITOR
    | {"llm_providers.delete_provider", "jobs.view_job"}
    | {f"accounts.{act}_user" for act in ("view", "add", "change", "delete")}
)

PERMISSIONS: dict[RoleName, frozenset[str]] = {
    RoleName.VIEWER: _VIEWER,
    RoleName.MEMBER: _MEMBER,
    RoleName.OPERATOR: _OPERATOR,
    RoleName.AUDITOR: _AUDITOR,
    RoleName.ADMIN: _ADMIN,
}


def grant_permissions_of(sender: AppConfig, **_: Any) -> None:
    """Gives each role its permissions on the models of the app that was just migrated, and takes away the others."""
    from django.contrib.auth.models import Group, Permission  # noqa: PLC0415 - imported while apps load

    made = {f"{sender.label}.{p.codename}": p for p in Permission.objects.filter(content_type__app_label=sender.label)}
    for role, wanted in PERMISSIONS.items():
        group, _created = Group.objects.get_or_create(name=role.value)
        group.permissions.remove(*(permission for name, permission in made.items() if name not in wanted))
        group.permissions.add(*(permission for name, permission in made.items() if name in wanted))
