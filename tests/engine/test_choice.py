from pathlib import Path

import pytest

from llm_providers.engine.choice import ModelFile, NoSuchModel, OnlyEmbeds, choose

MODELS = Path("/srv/models")


def file(name: str, *, changed: int = 1, architecture: str | None = "llama") -> ModelFile:
    return ModelFile(MODELS / name, size_bytes=1000, changed_ns=changed, architecture=architecture)


def name_of(files: list[ModelFile], *, named: str = "") -> str | None:
    chosen = choose(files, named=named)
    return chosen.name if chosen is not None else None


def test_an_empty_folder_offers_nothing():
    assert choose([], named="") is None


def test_it_takes_the_newest():
    assert name_of([file("old.gguf", changed=1), file("new.gguf", changed=3), file("mid.gguf", changed=2)]) == "new"


def test_the_choice_between_files_of_one_time_does_not_depend_on_their_order():
    assert name_of([file("b.gguf"), file("a.gguf")]) == name_of([file("a.gguf"), file("b.gguf")])


@pytest.mark.parametrize("named", ["old.gguf", "old", "models/old.gguf", "/srv/models/old.gguf", "./old.gguf"])
def test_it_takes_the_one_that_is_named(named):
    assert name_of([file("old.gguf", changed=1), file("new.gguf", changed=2)], named=named) == "old"


def test_it_says_which_name_it_did_not_find():
    with pytest.raises(NoSuchModel, match=r"ENGINE_MODEL names mistral\.gguf, but there is no such file"):
        choose([file("llama.gguf")], named="mistral.gguf")


def test_of_a_split_model_it_takes_the_first_part_under_the_name_of_the_whole():
    parts = [file(f"big-{part:05}-of-00003.gguf", changed=part) for part in (1, 2, 3)]

    chosen = choose(parts, named="")

    assert chosen is not None
    assert (chosen.path.name, chosen.name) == ("big-00001-of-00003.gguf", "big")


def test_a_split_model_can_be_named_as_a_whole():
    parts = [file("big-00002-of-00002.gguf"), file("big-00001-of-00002.gguf")]

    assert name_of(parts, named="big") == "big"


def test_a_projector_is_no_model():
    assert choose([file("mmproj-f16.gguf", architecture="clip")], named="") is None


@pytest.mark.parametrize("projector", ["mmproj-F16.gguf", "MMPROJ.gguf", "eyes.gguf"])
def test_it_adds_the_one_projector_that_lies_beside_the_model(projector):
    chosen = choose([file("gemma.gguf"), file(projector, architecture="clip", changed=9)], named="")

    assert chosen is not None
    assert chosen.projector == MODELS / projector


def test_it_adds_none_of_two_projectors():
    chosen = choose([file("gemma.gguf"), file("mmproj-a.gguf"), file("mmproj-b.gguf")], named="")

    assert chosen is not None
    assert chosen.projector is None


def test_it_adds_no_projector_of_another_folder():
    chosen = choose([file("a/gemma.gguf"), file("b/mmproj.gguf")], named="")

    assert chosen is not None
    assert chosen.projector is None


@pytest.mark.parametrize("architecture", ["bert", "nomic-bert-moe", "modern-bert", "t5encoder", "gemma-embedding"])
def test_it_passes_over_models_that_only_embed(architecture):
    files = [file("embed.gguf", architecture=architecture, changed=9), file("chat.gguf")]

    assert name_of(files) == "chat"
    assert name_of(files[:1]) is None


def test_it_says_so_when_a_model_that_only_embeds_is_named():
    with pytest.raises(OnlyEmbeds, match=r"ENGINE_MODEL names embed\.gguf, which only embeds"):
        choose([file("embed.gguf", architecture="bert")], named="embed.gguf")


def test_a_file_that_was_replaced_is_another_choice():
    assert choose([file("a.gguf", changed=1)], named="") != choose([file("a.gguf", changed=2)], named="")
