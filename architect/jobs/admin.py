from typing import ClassVar

from django.contrib import admin

from architect.jobs.models import Job
from architect.lib.read_only import ReadOnlyAdmin


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    list_display = ("kind", "state", "queue", "attempts", "created_at", "finished_at")
    list_filter: ClassVar = ["state", "queue"]
