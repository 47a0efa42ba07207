"""What lies in the folder of models, without loading any of it."""

import struct
from pathlib import Path

from llm_providers.engine.choice import ModelFile

_STRING = 8  # the type's number in a GGUF header, https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
_LONGEST_NAME = 100


def look(models_dir: Path, *, named: str, base_dir: Path) -> tuple[ModelFile, ...]:
    """Every `.gguf` under `models_dir`, and the file that ENGINE_MODEL names if it lies elsewhere."""
    paths = {path for path in models_dir.rglob("*") if path.suffix.lower() == ".gguf"}
    if named:
        paths.add(base_dir / Path(named).expanduser())
    return tuple(file for path in sorted(paths) if (file := _file(path)))


def _file(path: Path) -> ModelFile | None:
    try:
        if not path.is_file():
            return None
        state = path.stat()
        return ModelFile(path, state.st_size, state.st_mtime_ns, _architecture(path))
    except OSError:  # it went away, or is not ours to read: either way there is nothing to serve
        return None


def _architecture(path: Path) -> str | None:
    """The value of the first key, which is `general.architecture` in every file that the usual writers make."""
    with path.open("rb") as file:
        start = file.read(24 + 8 + _LONGEST_NAME * 2)
    try:
        magic, key_length = struct.unpack_from("<4s20xQ", start)
        if magic != b"GGUF" or key_length > _LONGEST_NAME:
            return None
        kind, length = struct.unpack_from("<IQ", start, 32 + key_length)
        value = 32 + key_length + 12
        if kind != _STRING or not start[32:].startswith(b"general.architecture"):
            return None
        return start[value : value + min(length, _LONGEST_NAME)].decode("ascii", errors="replace")
    except struct.error:
        return None
