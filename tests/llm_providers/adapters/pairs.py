"""Which adapter is tried against which fake; a new adapter joins the contract by one line here."""

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.fakes import anthropic, localai, ollama
from tests.fakes.anthropic import FakeAnthropic
from tests.fakes.behaviour import Fault
from tests.fakes.localai import FakeLocalAI
from tests.fakes.ollama import FakeOllama
from tests.fakes.openai import FakeLlamaCpp, FakeOpenAI
from tests.fakes.server import FakeModelServer


@dataclass(frozen=True, slots=True)
class Pair:
    """`lacks` are faults that the original of the fake cannot have; the rest is what its wire does not tell."""

    name: str
    kind: str
    fake: Callable[[], FakeModelServer]
    lacks: frozenset[Fault] = field(default_factory=frozenset)
    tells_request_id: bool = True
    counts_cached: bool = True
    splits_tool_calls: bool = True
    tells_waits: bool = True
    tells_context_limit: bool = True


PAIRS = (
    Pair("openai", "openai", FakeOpenAI),
    Pair("openai_compatible", "openai_compatible", FakeOpenAI),
    Pair("anthropic", "anthropic", FakeAnthropic, lacks=anthropic.LACKS),
    Pair("llama.cpp", "openai_compatible", FakeLlamaCpp, lacks=frozenset({Fault.NO_USAGE})),
    Pair(
        "localai",
        "localai",
        FakeLocalAI,
        lacks=localai.LACKS | {Fault.CONTEXT_EXCEEDED},  # known by its words alone, under status 500
        counts_cached=False,
    ),
    Pair(
        "ollama",
        "ollama",
        FakeOllama,
        lacks=ollama.LACKS,
        tells_request_id=False,
        counts_cached=False,
        splits_tool_calls=False,
        tells_waits=False,
        tells_context_limit=False,
    ),
)
