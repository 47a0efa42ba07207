from typing import ClassVar

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin

from architect.accounts.models import AuditEntry, User
from architect.lib.read_only import ReadOnlyAdmin


@admin.register(User)
class PersonAdmin(UserAdmin[User]):
    fieldsets = (*(UserAdmin.fieldsets or ()), ("Display", {"fields": ("theme", "time_zone")}))


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ("at", "actor_name", "action", "target", "reason")
    list_filter: ClassVar = ["action"]
    date_hierarchy = "at"
