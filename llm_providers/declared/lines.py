"""YAML whose every value knows its line, so that a mistake can be pointed at."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Mistake:
    """Something in the file that cannot be taken; `line` counts from 1."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.text}"


class WrongFile(Exception):
    """The file as it stands is not used; all that is wrong with it at once."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        super().__init__("\n".join(map(str, mistakes)))
        self.mistakes = mistakes


@dataclass(slots=True)
class Source:
    """The file that is being read: the variables it may name, and what was found wrong so far."""

    file: str
    variables: Mapping[str, str] = field(default_factory=lambda: os.environ)
    mistakes: list[Mistake] = field(default_factory=list)

    def complain(self, node: yaml.Node, text: str) -> None:
        self.mistakes.append(Mistake(self.file, node.start_mark.line + 1, text))

    def expanded(self, text: str) -> str:
        """`${VAR}` replaced by its value; one that is not set counts as empty."""
        return _VARIABLE.sub(lambda found: self.variables.get(found[1], ""), text)


class Block:
    """A mapping of the file. What is not asked for before `refuse_the_rest` is a mistake, and so is a key twice."""

    def __init__(self, source: Source, node: yaml.Node, name: str) -> None:
        self.node = node
        self._source = source
        self._name = name
        self._asked: list[str] = []
        self._entries: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        if not isinstance(node, yaml.MappingNode):
            source.complain(node, f"`{name}` is a block of lines such as `key: value`.")
            return
        for key, value in node.value:
            if key.value in self._entries:
                source.complain(key, f"`{key.value}` stands twice in `{name}`.")
            self._entries[str(key.value)] = (key, value)

    def names(self) -> list[str]:
        return list(self._entries)

    def node_of(self, key: str) -> yaml.Node | None:
        self._asked.append(key)
        entry = self._entries.get(key)
        return entry[1] if entry else None

    def block(self, key: str) -> "Block | None":
        node = self.node_of(key)
        return Block(self._source, node, key) if node is not None else None

    def raw(self, key: str) -> str | None:
        """The text as it stands, variables unexpanded; None where the key is missing or empty."""
        node = self.node_of(key)
        if node is None or (isinstance(node, yaml.ScalarNode) and node.tag.endswith(":null")):
            return None
        if not isinstance(node, yaml.ScalarNode):
            self._source.complain(node, f"`{key}` is one value, not a list or a block.")
            return None
        return str(node.value).strip()

    def value(self, key: str, read: Callable[[str], T], default: T) -> T:
        """The value with its variables expanded, as `read` takes it: it raises ValueError with what is allowed."""
        raw = self.raw(key)
        text = self._source.expanded(raw) if raw is not None else ""
        if not text:
            return default
        try:
            return read(text)
        except ValueError as failure:
            self._source.complain(self._entries[key][1], f"`{key}: {_shown(raw)}` is not {failure}.")
            return default

    def refuse_the_rest(self) -> None:
        for name in self._entries.keys() - set(self._asked):
            allowed = ", ".join(self._asked)
            self._source.complain(self._entries[name][0], f"`{name}` is unknown in `{self._name}`; known: {allowed}.")


def load(path: Path, source: Source) -> Block | None:
    """The top block of the file; None when it is empty.

    Raises:
        WrongFile: it cannot be read, or is no YAML.
    """
    try:
        node = yaml.compose(path.read_text("utf-8"), Loader=yaml.SafeLoader)
    except OSError as failure:
        raise WrongFile([Mistake(source.file, 1, f"it cannot be read: {failure.strerror}.")]) from failure
    except UnicodeDecodeError as failure:
        raise WrongFile([Mistake(source.file, 1, "it is not written in UTF-8.")]) from failure
    except yaml.YAMLError as failure:
        raise WrongFile([_syntax_mistake(source.file, failure)]) from failure
    return Block(source, node, source.file) if node is not None else None


def boolean(text: str) -> bool:
    if text.lower() not in ("true", "false", "yes", "no", "on", "off"):
        raise ValueError("true or false")
    return text.lower() in ("true", "yes", "on")


def one_of(*allowed: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"one of {', '.join(allowed)}")
        return text

    return read


def whole(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"[+-]?\d{1,9}", text) or not low <= int(text) <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return int(text)

    return read


def seconds(text: str) -> float:
    """Above zero and up to a day."""
    if not re.fullmatch(r"\d{1,6}(\.\d{1,6})?", text) or not 0 < float(text) <= 86_400:
        raise ValueError("a number of seconds above 0, up to 86400")
    return float(text)


def _shown(text: Any) -> str:
    """Short, and without what may be a key."""
    return text if len(text) <= 60 else f"{text[:57]}…"


def _syntax_mistake(file: str, failure: yaml.YAMLError) -> Mistake:
    mark = getattr(failure, "problem_mark", None)
    problem = getattr(failure, "problem", None) or getattr(failure, "reason", None) or "it can't be parsed"
    return Mistake(file, mark.line + 1 if mark else 1, f"not valid YAML: {problem}.")
