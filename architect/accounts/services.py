"""The first account, and the record of what people change."""

import hashlib
import secrets
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import QuerySet
from django.urls import reverse
from django.utils.timezone import now

from architect.accounts.errors import SetupLinkInvalid
from architect.accounts.models import AuditEntry, SetupLink, User
from architect.accounts.roles import RoleName


def setup_link() -> str | None:
    """A fresh address that makes the first administrator; None once an account exists. Older links end with it."""
    if User.objects.exists():
        return None
    token = secrets.token_urlsafe(24)
    with transaction.atomic():
        SetupLink.objects.all().delete()
        SetupLink.objects.create(token_hash=_hash(token))
    return settings.PUBLIC_URL.rstrip("/") + reverse("accounts:welcome", args=[token])


def check_setup_link(token: str) -> None:
    """Raises `SetupLinkInvalid` with a sentence for the person who opened the link."""
    if User.objects.exists():
        raise SetupLinkInvalid("The first account has been made already. Sign in with it.")
    if not _usable_links(token).exists():
        raise SetupLinkInvalid("This link is not valid any more. Start the program again; it prints a new one.")


@transaction.atomic
def create_first_account(*, token: str, username: str, password: str) -> User:
    """The first administrator. Of two people who use the link at once, one gets `SetupLinkInvalid`."""
    check_setup_link(token)
    if not _usable_links(token).update(used_at=now()):
        raise SetupLinkInvalid("Somebody else has just used this link.")
    person = User.objects.create_superuser(username=username, password=password)
    person.groups.add(Group.objects.get(name=RoleName.ADMIN.value))
    audit(person, action="made the first account", target=f"user {username}")
    return person


def audit(  # noqa: PLR0913 - an audit entry has this many parts
    person: User,
    *,
    action: str,
    target: str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str = "",
) -> AuditEntry:
    """Adds an entry; call it in the transaction of the change."""
    return AuditEntry.objects.create(
        actor=person,
        actor_name=person.username,
        action=action,
        target=target,
        before=before or {},
        after=after or {},
        reason=reason,
    )


def _usable_links(token: str) -> QuerySet[SetupLink]:
    return SetupLink.objects.filter(token_hash=_hash(token), used_at=None, created_at__gt=now() - SetupLink.LIFETIME)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
