from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AccountsConfig(AppConfig):
    name = "architect.accounts"
    verbose_name = "People"

    def ready(self) -> None:
        from architect.accounts import checks  # noqa: F401, PLC0415 - registers itself
        from architect.accounts.roles import grant_permissions_of  # noqa: PLC0415 - needs the loaded apps

        # After every app's own permissions have been made; see docs/decisions/roles.md.
        post_migrate.connect(grant_permissions_of, dispatch_uid="architect.accounts.roles")
