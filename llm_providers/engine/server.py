"""The engine's own loop: it looks which model is wanted, keeps llama.cpp serving it, and tells the rest where."""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_providers.engine import tiny_model
from llm_providers.engine.announce import announce, other_models_seen, withdraw
from llm_providers.engine.choice import TEST_MODEL, Choice, ModelFile, NoUsableModel, choose
from llm_providers.engine.folder import look
from llm_providers.engine.llama_process import CannotLoad, LlamaProcess
from llm_providers.models.provider import Health

logger = logging.getLogger(__name__)
LOOK_EVERY_S = 2.0
AT_REST_AFTER_S = 10.0
NOT_NEEDED = "Another provider serves models, and there is no GGUF file in models/."
# 40 MB that are written within a second, and slow enough that words are seen to come: about 100 a second on two cores.
_SEEN_TO_STREAM: Mapping[str, Any] = {
    "width": 256, "layers": 12, "heads": 8, "kv_heads": 4, "hidden": 768, "end_bias": -1.5,
}  # fmt: skip


class EngineDied(Exception):
    """llama.cpp ended while it served; the supervisor starts the engine again."""


@dataclass(frozen=True, slots=True)
class EnginePlaces:
    """`named` is the setting ENGINE_MODEL, taken from `base_dir` if it is a relative path."""

    models_dir: Path
    var_dir: Path
    base_dir: Path
    named: str

    @property
    def test_model(self) -> Path:
        return self.var_dir / "engine" / f"{TEST_MODEL}.gguf"

    @property
    def log(self) -> Path:
        return self.var_dir / "engine.log"


class Engine:
    """With `always` it serves the test model even where real models were seen elsewhere."""

    def __init__(self, places: EnginePlaces, *, always: bool) -> None:
        self._places = places
        self._always = always
        self._files: Sequence[ModelFile] | None = None
        self._llama: LlamaProcess | None = None
        self._refused: set[Choice] = set()
        self._told = ""

    def run(self, stop: threading.Event) -> None:
        """Serves until `stop` is set. Raises `EngineDied`."""
        try:
            # What a killed process announced is a port that may be anybody's by now.
            withdraw(problem="The engine is starting.", health=Health.UNKNOWN)
            while not stop.is_set():
                self._look(stop)
                stop.wait(LOOK_EVERY_S)
            withdraw(problem="The engine was stopped.", health=Health.ABSENT)
        finally:
            self._end_llama()

    def _look(self, stop: threading.Event) -> None:
        self._raise_if_died()
        if not self._folder_is_at_rest():
            return
        try:
            wanted = self._wanted()
        except (NoUsableModel, OSError) as problem:
            self._stand_down(str(problem))
            return
        if wanted is None:
            self._stand_down(NOT_NEEDED, health=Health.ABSENT)
        elif wanted not in self._refused and (self._llama is None or self._llama.choice != wanted):
            self._serve(wanted, stop)

    def _folder_is_at_rest(self) -> bool:
        """Whether nothing changed since the last look: half a file that is being copied must not be loaded."""
        places = self._places
        files = look(places.models_dir, named=places.named, base_dir=places.base_dir)
        before, self._files = self._files, files
        if before is None:  # the first look; the usual case is that files have lain there for long
            newest_ns = max((file.changed_ns for file in files), default=0)
            return time.time_ns() - newest_ns > AT_REST_AFTER_S * 1e9
        return before == files

    def _wanted(self) -> Choice | None:
        chosen = choose(self._files or (), named=self._places.named, refused=self._refused)
        if chosen is not None:
            return chosen
        if not self._always and other_models_seen():
            return None
        if not self._places.test_model.exists():
            tiny_model.write(self._places.test_model, **_SEEN_TO_STREAM)
        return Choice(self._places.test_model, TEST_MODEL, is_test=True)

    def _serve(self, choice: Choice, stop: threading.Event) -> None:
        self._end_llama()
        withdraw(problem=f"The engine is loading {choice.name}.", health=Health.UNKNOWN)
        self._llama = LlamaProcess(choice, log=self._places.log)
        try:
            served = self._llama.wait_until_ready(stop)
        except CannotLoad as problem:
            self._refused.add(choice)
            self._stand_down(f"{problem} Its messages are in {self._places.log}.")
            return
        if served is None:
            return
        self._told = ""
        announce(
            base_url=f"{served.address}/v1",
            model=choice.name,
            is_test=choice.is_test,
            context_length=served.context_length,
            sees_images=served.sees_images,
        )
        note = ", which answers in random words; put a GGUF file into models/ for a real one" if choice.is_test else ""
        logger.info("Serving %s at %s%s", choice.name, served.address, note)

    def _stand_down(self, problem: str, *, health: Health = Health.DOWN) -> None:
        """Serves nothing until something changes, and says why once."""
        self._end_llama()
        if problem != self._told:
            self._told = problem
            withdraw(problem=problem, health=health)
            logger.warning("%s", problem)

    def _raise_if_died(self) -> None:
        if self._llama is not None and self._llama.has_ended():
            problem = f"llama.cpp ended while it served {self._llama.choice.name}."
            withdraw(problem=problem)
            raise EngineDied(problem)

    def _end_llama(self) -> None:
        if self._llama is not None:
            self._llama.end()
            self._llama = None
