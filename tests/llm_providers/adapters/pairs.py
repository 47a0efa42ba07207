"""Which adapter is tried against which fake; a new adapter joins the contract by one line here."""

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.fakes.behaviour import Fault
from tests.fakes.openai import FakeLlamaCpp, FakeOpenAI
from tests.fakes.server import FakeModelServer


@dataclass(frozen=True, slots=True)
class Pair:
    """`lacks` are faults that the original of the fake cannot have."""

    name: str
    kind: str
    fake: Callable[[], FakeModelServer]
    lacks: frozenset[Fault] = field(default_factory=frozenset)


PAIRS = (
    Pair("openai", "openai_compatible", FakeOpenAI),
    Pair("llama.cpp", "openai_compatible", FakeLlamaCpp, lacks=frozenset({Fault.NO_USAGE})),
)
