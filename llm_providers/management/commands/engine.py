import logging
import signal
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from llm_providers.engine.server import Engine, EngineDied, EnginePlaces


class Command(BaseCommand):
    help = "Serves a GGUF file out of models/ (or the built-in test model) with llama.cpp until it is ended."

    def handle(self, *_args: Any, **_options: Any) -> None:
        if settings.ENGINE_ENABLED not in ("auto", "true"):
            raise CommandError("The engine is switched off: ENGINE_ENABLED is neither auto nor true.")
        logging.getLogger("gguf").setLevel(logging.WARNING)  # it tells of every file that it writes
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        places = EnginePlaces(
            models_dir=settings.MODELS_DIR,
            var_dir=settings.VAR_DIR,
            base_dir=settings.BASE_DIR,
            named=settings.ENGINE_MODEL,
        )
        try:
            Engine(places, always=settings.ENGINE_ENABLED == "true").run(stop)
        except EngineDied as failure:
            raise CommandError(str(failure)) from failure
