"""What is LocalAI's own."""

from collections.abc import Iterator

import pytest

from llm_providers.adapters.localai import LocalAIAdapter
from llm_providers.errors import Event, ProviderFailure
from tests.fakes.behaviour import Fault
from tests.fakes.localai import FakeLocalAI
from tests.llm_providers.adapters.calls import connection, failure_of


@pytest.fixture
def fake() -> Iterator[FakeLocalAI]:
    with FakeLocalAI() as server:
        yield server


@pytest.fixture
def adapter(fake: FakeLocalAI) -> LocalAIAdapter:
    return LocalAIAdapter(connection(fake.base_url))


async def test_a_server_that_is_starting_is_loading_and_not_down(fake, adapter):
    fake.is_starting = True

    with pytest.raises(ProviderFailure) as raised:
        await adapter.probe()

    assert raised.value.event is Event.LOADING


async def test_a_model_that_is_loading_says_how_long_to_wait(fake, adapter):
    fake.fault = Fault.LOADING

    failure = await failure_of(adapter)

    assert (failure.event, failure.retry_after_s) == (Event.LOADING, 5.0)


async def test_a_context_that_is_too_long_is_known_by_its_words(fake, adapter):
    fake.fault = Fault.CONTEXT_EXCEEDED

    failure = await failure_of(adapter)

    assert (failure.event, failure.http_status) == (Event.CONTEXT_LENGTH, 500)


async def test_the_end_after_an_error_is_no_success(fake, adapter):
    fake.fault = Fault.ERROR_FRAME_THEN_DONE

    failure = await failure_of(adapter)

    assert failure.event is Event.ERROR_FRAME
