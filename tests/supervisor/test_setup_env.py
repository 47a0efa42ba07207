"""`make run` before there is an environment. All of it happens in a copy: the one we run in stays as it is."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.processes import ROOT

SCRIPTS = ("setup_env.py", "install.py")
NOTHING_TO_INSTALL = ("constraints.txt", "requirements.txt", "requirements-dev.txt")


def script(name: str) -> ModuleType:
    described = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert described is not None
    assert described.loader is not None
    module = importlib.util.module_from_spec(described)
    described.loader.exec_module(module)
    return module


@pytest.fixture
def project(tmp_path):
    """A copy that needs no package, so that no network is needed."""
    (tmp_path / "scripts").mkdir()
    for name in SCRIPTS:
        shutil.copy(ROOT / "scripts" / name, tmp_path / "scripts")
    for name in NOTHING_TO_INSTALL:
        (tmp_path / name).write_text("")
    return tmp_path


def set_up(project: Path, *options: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "scripts/setup_env.py", *options]
    environment = {**os.environ, **variables}
    return subprocess.run(
        command, cwd=project, env=environment, capture_output=True, text=True, timeout=100, check=False
    )


def old_pythons() -> list[str]:
    """Interpreters on this machine that are too old for us; without any the test is skipped."""
    folders = [*Path.home().glob(".pyenv/versions/*/bin"), Path("/usr/bin"), Path("/usr/local/bin")]
    names = ("python2.7", "python3.6", "python3.8", "python3.9", "python3.10")
    return sorted({str(found) for folder in folders for name in names if (found := folder / name).is_file()})


def test_it_makes_an_environment_and_then_finds_it_in_place(project):
    first = set_up(project)
    second = set_up(project)

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert "Making the virtual environment" in first.stdout
    assert (second.stdout, second.stderr) == ("", "")
    assert (project / ".venv" / "bin" / "python").exists()


def test_it_installs_again_when_a_requirement_changes(project):
    set_up(project)
    (project / "requirements.txt").write_text("# another\n")

    changed = set_up(project)

    assert "Installing requirements.txt" in changed.stdout
    assert "Making" not in changed.stdout


def test_an_environment_for_development_serves_the_product_too(project):
    set_up(project, "--dev")

    assert set_up(project).stdout == ""


def test_it_makes_the_environment_anew_when_its_python_has_gone(project):
    set_up(project)
    python = project / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nowhere/python3")

    mended = set_up(project)

    assert mended.returncode == 0
    assert "Making the virtual environment" in mended.stdout


def test_it_says_that_the_package_index_cannot_be_reached(project):
    (project / "requirements.txt").write_text("some-package-that-is-nowhere\n")

    failed = set_up(project, PIP_INDEX_URL="http://127.0.0.1:9/simple", PIP_CONFIG_FILE=os.devnull, PIP_RETRIES="0")

    assert failed.returncode == 1
    assert failed.stderr == (
        "The package index can't be reached; connect to the network, which only the first start needs."
        " What pip said is in var/setup.log.\n"
    )


def test_it_says_what_else_pip_stumbled_over(project):
    (project / "requirements.txt").write_text("/no/such/folder\n")

    failed = set_up(project)

    assert failed.returncode == 1
    assert failed.stderr.startswith("The packages could not be installed: ")
    assert failed.stderr.count("\n") == 1


def test_it_says_that_the_folder_cannot_be_written(project):
    (project / ".venv").symlink_to("/proc/version")

    failed = set_up(project)

    assert failed.returncode == 1
    assert "can't be written" in failed.stderr
    assert failed.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("OSError: [Errno 28] No space left on device", "The disk is full"),
        ("OSError: [Errno 30] Read-only file system: '.venv'", "The folder .venv can't be written"),
        ("NewConnectionError('…: Failed to establish a new connection')", "The package index can't be reached"),
        (
            "ERROR: No matching distribution found for x\n[notice] a new pip",
            "The packages could not be installed: ERROR",
        ),
        ("", "The packages could not be installed: no reason was given."),
    ],
)
def test_it_tells_why_pip_failed(said, sentence):
    assert script("install").why_not_installed(said).startswith(sentence)


def test_it_names_the_package_that_brings_venv():
    assert "apt install python3-venv" in script("install").why_no_environment("ensurepip is not available")


@pytest.mark.parametrize(
    ("version", "is_fit"),
    [((2, 7), False), ((3, 10), False), ((3, 11), True), ((3, 12), True), ((3, 13), True), ((3, 14), False)],
)
def test_it_knows_which_python_is_fit(version, is_fit):
    assert script("setup_env").is_fit(version) is is_fit


def test_it_asks_a_python_for_its_version():
    setup_env = script("setup_env")

    assert setup_env.version_of(sys.executable) == sys.version_info[:2]
    assert setup_env.version_of("/no/such/python") == (0, 0)


@pytest.mark.parametrize("python", old_pythons())
def test_an_old_python_gets_one_sentence(project, python):
    ended = subprocess.run(
        [python, "scripts/setup_env.py"],
        cwd=project,
        env={**os.environ, "PATH": str(project)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 1
    assert ended.stderr.startswith("Architect needs Python 3.11 to 3.13; this is ")
    assert ended.stderr.count("\n") == 1
