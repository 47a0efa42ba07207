from pathlib import Path

import pytest

from llm_providers.engine import tiny_model
from llm_providers.engine.folder import look


@pytest.fixture
def models(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


def names(folder: Path, *, named: str = "") -> list[str]:
    return [file.path.name for file in look(folder, named=named, base_dir=folder.parent)]


def test_a_folder_that_is_not_there_holds_nothing(tmp_path):
    assert names(tmp_path / "models") == []


def test_it_finds_gguf_files_at_any_depth_and_nothing_else(models):
    (models / "qwen").mkdir()
    for name in ("a.gguf", "B.GGUF", "qwen/c.gguf", "readme.md", "a.gguf.part"):
        (models / name).touch()

    assert sorted(names(models)) == ["B.GGUF", "a.gguf", "c.gguf"]


def test_it_adds_the_named_file_that_lies_elsewhere(models):
    (models.parent / "other.gguf").touch()

    assert names(models, named="other.gguf") == ["other.gguf"]
    assert names(models, named=str(models.parent / "other.gguf")) == ["other.gguf"]
    assert names(models, named="no-such.gguf") == []


def test_it_reads_what_a_file_says_it_is(models):
    tiny_model.write(models / "tiny.gguf", layers=1)

    (file,) = look(models, named="", base_dir=models)

    assert file.architecture == "llama"
    assert file.size_bytes == (models / "tiny.gguf").stat().st_size


@pytest.mark.parametrize("content", [b"", b"GG", b"garbage" * 100, b"GGUF" + b"\xff" * 300, b"GGUF" + b"\0" * 300])
def test_a_file_that_is_none_has_no_architecture(models, content):
    (models / "broken.gguf").write_bytes(content)

    (file,) = look(models, named="", base_dir=models)

    assert file.architecture is None


def test_a_link_to_nowhere_is_passed_over(models):
    (models / "link.gguf").symlink_to(models / "gone")

    assert names(models) == []
