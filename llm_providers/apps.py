from django.apps import AppConfig


class LlmProvidersConfig(AppConfig):
    name = "llm_providers"
    verbose_name = "Providers and requests"

    def ready(self) -> None:
        from llm_providers import checks  # noqa: F401, PLC0415 - registers itself
