from django.apps import AppConfig


class LlmProvidersConfig(AppConfig):
    name = "llm_providers"
    verbose_name = "Providers and requests"

    def ready(self) -> None:
        from architect.live.audience import while_watched  # noqa: PLC0415 - once the models are there
        from llm_providers import checks  # noqa: F401, PLC0415 - registers itself
        from llm_providers.health.watching import EVERY_S, look_at_local_providers  # noqa: PLC0415
        from llm_providers.routing.keeper import TOPIC  # noqa: PLC0415

        while_watched(TOPIC, look_at_local_providers, every_s=EVERY_S)
