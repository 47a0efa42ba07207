"""Which file the built-in engine serves. A decision only: what lies in the folder is told by `folder.look`.

NoUsableModel
├── NoSuchModel     ENGINE_MODEL names a file that is not there
└── OnlyEmbeds      ENGINE_MODEL names a model that can't chat
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

TEST_MODEL = "built-in-test-model"
EMBEDDING_ARCHITECTURES = ("bert", "t5encoder", "gemma-embedding")
_PART = re.compile(r"-(\d{5})-of-\d{5}$")


class NoUsableModel(Exception):
    """Its text is a sentence for the person who set ENGINE_MODEL."""


class NoSuchModel(NoUsableModel):
    pass


class OnlyEmbeds(NoUsableModel):
    pass


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A `.gguf` file. `architecture` is its own word for what it is (llama, bert, clip, ...); None if unreadable."""

    path: Path
    size_bytes: int
    changed_ns: int
    architecture: str | None

    @property
    def model_name(self) -> str:
        return _PART.sub("", self.path.stem)

    @property
    def is_projector(self) -> bool:
        """It lets another model see pictures, and is none itself."""
        return self.path.name.lower().startswith("mmproj") or self.architecture == "clip"

    @property
    def only_embeds(self) -> bool:
        return any(name in (self.architecture or "") for name in EMBEDDING_ARCHITECTURES)

    @property
    def is_later_part(self) -> bool:
        """One of several files of a model; llama.cpp is told the first and finds the rest."""
        part = _PART.search(self.path.stem)
        return part is not None and int(part.group(1)) > 1


@dataclass(frozen=True, slots=True)
class Choice:
    """`name` is what people read; `projector` comes with a model that sees pictures.

    Size and time of change are part of it, so that a file that was replaced is another choice.
    """

    path: Path
    name: str
    is_test: bool
    projector: Path | None = None
    size_bytes: int = 0
    changed_ns: int = 0


def choose(files: Sequence[ModelFile], *, named: str, refused: Collection[Choice] = ()) -> Choice | None:
    """The model that ENGINE_MODEL names, else the newest; None if there is none, which means the test model.

    `named` is a path, a file name or a file name without its ending. `refused` could not be loaded: the newest of
    the others is chosen, if there is any. Raises `NoUsableModel`.
    """
    models = [file for file in files if not file.is_projector and not file.is_later_part]
    if named:
        return _choice(files, _named(models, named=named))
    chatting = sorted(
        (file for file in models if not file.only_embeds),
        key=lambda file: (file.changed_ns, file.path.name),
        reverse=True,
    )
    choices = [_choice(files, file) for file in chatting]
    return next((choice for choice in choices if choice not in refused), choices[0] if choices else None)


def _choice(files: Sequence[ModelFile], chosen: ModelFile) -> Choice:
    return Choice(
        path=chosen.path,
        name=chosen.model_name,
        is_test=False,
        projector=_projector(files, chosen),
        size_bytes=chosen.size_bytes,
        changed_ns=chosen.changed_ns,
    )


def _named(models: Sequence[ModelFile], *, named: str) -> ModelFile:
    wanted = Path(named).expanduser().parts
    matching = [file for file in models if file.path.parts[-len(wanted) :] == wanted or file.model_name == named]
    if not matching:
        raise NoSuchModel(f"ENGINE_MODEL names {named}, but there is no such file, nor one of that name in models/.")
    if matching[0].only_embeds:
        raise OnlyEmbeds(f"ENGINE_MODEL names {named}, which only embeds; the engine needs a model that can chat.")
    return matching[0]


def _projector(files: Sequence[ModelFile], model: ModelFile) -> Path | None:
    beside = [file.path for file in files if file.is_projector and file.path.parent == model.path.parent]
    return beside[0] if len(beside) == 1 else None
