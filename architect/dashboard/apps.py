from django.apps import AppConfig


class DashboardConfig(AppConfig):
    name = "architect.dashboard"
    verbose_name = "Dashboard"
