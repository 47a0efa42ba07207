"""The engine's loop look by look, without the time between the looks."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from llm_providers.engine import tiny_model
from llm_providers.engine.server import Engine, EnginePlaces
from llm_providers.models import Provider, ServedModel
from llm_providers.models.provider import ENGINE

pytestmark = pytest.mark.django_db(transaction=True)
LONG_AGO = (1_000_000_000, 1_000_000_000)


class Looks(threading.Event):
    """Has the engine look as often as there are steps, with one step after each look, and then stop."""

    def __init__(self, *steps: Callable[[], object]) -> None:
        super().__init__()
        self._steps = list(steps)

    def wait(self, timeout: float | None = None) -> bool:
        self._steps.pop(0)()
        if not self._steps:
            self.set()
        return self.is_set()


@pytest.fixture
def places(tmp_path):
    places = EnginePlaces(models_dir=tmp_path / "models", var_dir=tmp_path / "var", base_dir=tmp_path, named="")
    places.models_dir.mkdir()
    return places


def add(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    os.utime(path, LONG_AGO)


def tiny(folder: Path) -> bytes:
    tiny_model.write(folder / "draft")
    return (folder / "draft").read_bytes()


def health() -> tuple[str, str]:
    engine = Provider.objects.get(name=ENGINE)
    return engine.health, engine.health_text


def offered() -> list[str]:
    return list(ServedModel.objects.filter(provider__name=ENGINE, missing_since=None).values_list("name", flat=True))


def test_a_broken_file_is_tried_once_and_not_again_with_each_look(places):
    add(places.models_dir / "broken.gguf", b"garbage")
    seen: list[tuple[object, ...]] = []

    def note() -> None:
        # llama.cpp begins its log anew with each start.
        seen.append((health(), places.log.stat().st_mtime_ns))

    Engine(places, always=True).run(Looks(note, note, note))

    (state, text), _started_at = seen[0]
    assert state == "down"
    assert text.startswith("broken.gguf can't be loaded: ")
    assert len(set(seen)) == 1


def test_a_broken_file_that_is_replaced_is_tried_again(places, tmp_path):
    broken = places.models_dir / "model.gguf"
    add(broken, b"garbage")
    seen: list[list[str]] = []

    def replace() -> None:
        seen.append(offered())
        add(broken, tiny(tmp_path))

    def note() -> None:
        seen.append(offered())

    Engine(places, always=True).run(Looks(replace, note, note))

    assert seen == [[], [], ["model"]]


def test_a_file_that_still_grows_is_left_alone(places, tmp_path):
    whole = tiny(tmp_path)
    growing = places.models_dir / "model.gguf"
    seen: list[list[str]] = []

    def grow(size: int) -> None:
        seen.append(offered())
        add(growing, whole[:size])

    Engine(places, always=True).run(
        Looks(
            lambda: grow(100_000),
            lambda: grow(200_000),
            lambda: grow(len(whole)),
            lambda: grow(len(whole)),
            lambda: seen.append(offered()),
        )
    )

    assert seen == [["built-in-test-model"]] * 4 + [["model"]]
