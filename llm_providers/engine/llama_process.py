"""A llama.cpp server in a process of its own, from its start to its end."""

import json
import re
import select
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from llm_providers.engine.choice import Choice

_SAYS_WHY = re.compile(r"error loading model: (?:llama_model_loader: )?(.+)")
_LOOK_EVERY_S = 0.1


class CannotLoad(Exception):
    """llama.cpp ended before it served; the text is a sentence with its reason."""


@dataclass(frozen=True, slots=True)
class Served:
    """Where llama.cpp listens (no path), how many tokens fit into one conversation, whether it sees pictures."""

    address: str
    context_length: int
    sees_images: bool


class LlamaProcess:
    """Its messages go to `log`, which is begun anew with each start."""

    def __init__(self, choice: Choice, *, log: Path) -> None:
        self.choice = choice
        self._log = log
        command = [sys.executable, "-m", "llm_providers.engine.llama", str(choice.path), "--name", choice.name]
        command += ["--projector", str(choice.projector)] if choice.projector else []
        command += ["--test"] if choice.is_test else []
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as messages:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=messages)

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_until_ready(self, stop: threading.Event) -> Served | None:
        """None if `stop` was set first. A large model takes a minute or more. Raises `CannotLoad`."""
        output = self._process.stdout
        assert output is not None  # noqa: S101 - for the type checker: it is a pipe
        while not stop.is_set():
            if select.select([output], [], [], _LOOK_EVERY_S)[0]:
                line = output.readline()
                if not line:
                    raise CannotLoad(self._reason(self._process.wait()))
                return Served(**json.loads(line))
        return None

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def end(self) -> None:
        """It keeps nothing that could be lost, and it does not always end when asked."""
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _reason(self, exit_code: int) -> str:
        messages = self._log.read_text(errors="replace").splitlines()
        why = next((found.group(1) for line in messages if (found := _SAYS_WHY.search(line))), None)
        if why is None and exit_code < 0:
            why = f"it was ended by {signal.Signals(-exit_code).name}"
        return f"{self.choice.path.name} can't be loaded: {why or (messages or ['no reason given'])[-1].strip()}."
