"""`manage.py engine` as a process of its own, as the supervisor starts it, on the database of the tests."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from llm_providers.engine import tiny_model
from llm_providers.engine.choice import TEST_MODEL
from llm_providers.models import Provider, ServedModel
from llm_providers.models.provider import ENGINE
from tests.llm_providers.requests import serve
from tests.processes import ROOT, environment

PATIENCE_S = 30

pytestmark = pytest.mark.django_db(transaction=True)


class EngineCommand:
    def __init__(self, folder: Path, **variables: str) -> None:
        self.models = folder / "models"
        self.models.mkdir(exist_ok=True)
        places = {"VAR_DIR": str(folder / "var"), "MODELS_DIR": str(self.models), "LOG_LEVEL": "INFO"}
        (folder / "messages").touch()
        self._messages = folder / "messages"
        with self._messages.open("ab") as messages:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "engine"],
                cwd=ROOT,
                env=environment(**places | variables),
                stdout=messages,
                stderr=messages,
            )

    @property
    def messages(self) -> str:
        return self._messages.read_text()

    def add(self, name: str, *, content: bytes | None = None) -> None:
        """As a person does it who moves a finished file; it looks old, so that no engine has to wait."""
        draft = self.models.parent / name
        if content is None:
            tiny_model.write(draft)
        else:
            draft.write_bytes(content)
        os.utime(draft, (1_000_000_000, 1_000_000_000))
        shutil.move(draft, self.models / name)

    def end(self) -> int:
        self.process.terminate()
        return self.process.wait(PATIENCE_S)


@pytest.fixture
def engine(tmp_path):
    started: list[EngineCommand] = []

    def start(**variables: str) -> EngineCommand:
        started.append(EngineCommand(tmp_path, **variables))
        return started[-1]

    yield start
    for command in started:
        command.process.kill()
        command.process.wait()


def until(happened: Callable[[], bool], *, engine: EngineCommand) -> None:
    give_up_at = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < give_up_at, engine.messages
        time.sleep(0.05)


def offered() -> list[str]:
    return list(ServedModel.objects.filter(provider__name=ENGINE, missing_since=None).values_list("name", flat=True))


def health() -> tuple[str, str]:
    return Provider.objects.filter(name=ENGINE).values_list("health", "health_text").first() or ("", "")


def test_without_a_model_it_serves_the_test_model_and_withdraws_it_at_its_end(engine):
    command = engine()
    until(lambda: offered() == [TEST_MODEL], engine=command)
    assert ServedModel.objects.get(name=TEST_MODEL).is_test
    assert Provider.objects.get(name=ENGINE).base_url.startswith("http://127.0.0.1:")

    assert command.end() == 0

    assert (offered(), health()) == ([], ("absent", "The engine was stopped."))


def test_a_model_that_is_put_into_the_folder_takes_over(engine):
    command = engine()
    until(lambda: offered() == [TEST_MODEL], engine=command)

    command.add("Qwen-4B.gguf")

    until(lambda: offered() == ["Qwen-4B"], engine=command)
    assert not ServedModel.objects.get(name="Qwen-4B").is_test


def test_a_broken_file_is_told_once_and_a_good_one_mends_it(engine):
    command = engine()
    command.add("broken.gguf", content=b"garbage")
    until(lambda: "can't be loaded" in health()[1], engine=command)
    assert health()[1].startswith("broken.gguf can't be loaded: ")

    (command.models / "broken.gguf").unlink()

    until(lambda: offered() == [TEST_MODEL], engine=command)
    assert command.messages.count("can't be loaded") == 1


def test_a_name_without_a_file_is_told_in_a_sentence(engine):
    command = engine(ENGINE_MODEL="mistral.gguf")

    until(lambda: health()[0] == "down", engine=command)

    assert health()[1].startswith("ENGINE_MODEL names mistral.gguf, but there is no such file")


def test_auto_leaves_the_field_to_a_provider_that_served_a_model(engine):
    serve("ollama", "http://127.0.0.1:9")

    command = engine()

    until(lambda: health()[0] == "absent", engine=command)
    assert health()[1].startswith("Another provider serves models")


def test_true_serves_the_test_model_beside_other_providers(engine):
    serve("ollama", "http://127.0.0.1:9")

    command = engine(ENGINE_ENABLED="true")

    until(lambda: offered() == [TEST_MODEL], engine=command)


def test_false_ends_in_a_sentence(engine):
    command = engine(ENGINE_ENABLED="false")

    assert command.process.wait(PATIENCE_S) == 1
    assert command.messages.startswith("CommandError: The engine is switched off")


def test_it_ends_with_an_error_when_llama_cpp_dies_so_that_it_is_started_again(engine):
    command = engine()
    until(lambda: offered() == [TEST_MODEL], engine=command)

    os.kill(children(command.process.pid)[0], signal.SIGSEGV)

    assert command.process.wait(PATIENCE_S) == 1
    assert health() == ("down", f"llama.cpp ended while it served {TEST_MODEL}.")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can tie a process to its parent")
def test_llama_cpp_does_not_outlive_a_killed_engine(engine):
    command = engine()
    until(lambda: offered() == [TEST_MODEL], engine=command)
    (llama,) = children(command.process.pid)

    command.process.kill()

    until(lambda: not is_alive(llama), engine=command)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid: int) -> bool:
    """A dead process whose new parent has not taken note of it yet counts as dead."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"
