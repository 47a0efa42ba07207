"""A fake server and an adapter that is connected to it."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from llm_providers.adapters.base import Adapter
from llm_providers.adapters.openai_compatible import OpenAICompatibleAdapter
from llm_providers.adapters.registry import adapters
from tests.fakes.openai import FakeOpenAI
from tests.fakes.server import FakeModelServer
from tests.llm_providers.adapters.calls import connection
from tests.llm_providers.adapters.pairs import PAIRS, Pair


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as server:
        yield server


@pytest.fixture
def adapter(fake: FakeOpenAI) -> OpenAICompatibleAdapter:
    return OpenAICompatibleAdapter(connection(fake.base_url))


@pytest.fixture
def unreachable() -> Iterator[str]:
    """An address that never completes a connection: its queue is full and nobody accepts."""
    with ExitStack() as opened:
        listener = opened.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = opened.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"


@pytest.fixture(params=PAIRS, ids=lambda pair: pair.name)
def pair(request: pytest.FixtureRequest) -> Pair:
    chosen: Pair = request.param
    return chosen


@pytest.fixture
def paired_fake(pair: Pair) -> Iterator[FakeModelServer]:
    with pair.fake() as server:
        yield server


@pytest.fixture
def paired_adapter(pair: Pair, paired_fake: FakeModelServer) -> Adapter:
    return adapters()[pair.kind](connection(paired_fake.base_url))
