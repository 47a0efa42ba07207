from django.apps import AppConfig
from django.db.models.signals import pre_migrate

from architect.lib.sqlite_file import lay_out_new_file


class LiveConfig(AppConfig):
    name = "architect.live"
    verbose_name = "Live updates"

    def ready(self) -> None:
        pre_migrate.connect(lay_out_new_file, dispatch_uid="architect.lib.sqlite_file")
