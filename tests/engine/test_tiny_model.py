from pathlib import Path

import pytest

from llm_providers.engine import tiny_model


def test_the_same_seed_makes_the_same_file(tmp_path):
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        tiny_model.write(tmp_path / name, seed=seed)

    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes() != (tmp_path / "c").read_bytes()


def test_it_leaves_nothing_else_behind(tmp_path):
    tiny_model.write(tmp_path / "new" / "tiny.gguf")

    assert list((tmp_path / "new").iterdir()) == [tmp_path / "new" / "tiny.gguf"]


def test_a_file_that_cannot_be_finished_is_not_there(tmp_path):
    with pytest.raises(ValueError, match="negative dimensions"):
        tiny_model.write(tmp_path / "tiny.gguf", hidden=-1)

    assert list(tmp_path.iterdir()) == []


def test_it_replaces_a_file_as_a_whole(tmp_path):
    path: Path = tmp_path / "tiny.gguf"
    path.write_bytes(b"old")

    tiny_model.write(path)

    assert path.read_bytes().startswith(b"GGUF")
