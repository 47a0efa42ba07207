from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class JobsConfig(AppConfig):
    name = "architect.jobs"
    verbose_name = "Background jobs"

    def ready(self) -> None:
        # Each room names its background work in a module `jobs`; this fills the registry.
        autodiscover_modules("jobs")
