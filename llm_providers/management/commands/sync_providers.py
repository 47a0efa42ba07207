from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from llm_providers.declared.current import declaration
from llm_providers.declared.lines import WrongFile
from llm_providers.sync import sync


class Command(BaseCommand):
    help = "Makes the providers what config/llm_providers.yaml (LLM_PROVIDERS_FILE) says; the program does so at start."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            synced = sync(declaration())
        except WrongFile as failure:
            raise CommandError(f"{settings.LLM_PROVIDERS_FILE} is not used:\n{failure}") from failure
        told = {
            "added": synced.added,
            "changed": synced.changed,
            "no longer in the file, switched off": synced.switched_off,
            "switched by an operator, other than the file says": synced.differing,
        }
        lines = [f"{what}: {', '.join(names)}" for what, names in told.items() if names]
        self.stdout.write("\n".join(lines) or "Nothing to change.")
