"""Admin pages for rows that only the program writes."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest


class ReadOnly:
    """Nothing is added, changed or deleted by hand; put it before an admin class."""

    def has_add_permission(self, _request: HttpRequest, _obj: Any = None) -> bool:
        return False

    def has_change_permission(self, _request: HttpRequest, _obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, _request: HttpRequest, _obj: Any = None) -> bool:
        return False


class ReadOnlyAdmin(ReadOnly, admin.ModelAdmin[Any]):
    """A list that stays quick when it is long."""

    show_full_result_count = False
