"""What all tests share: a database that other threads and processes see, and nothing left running."""

from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import SyncToAsync
from django.db import connections

import architect.celery  # noqa: F401 - wake-ups go to the broker of the tests
from architect.accounts.models import User
from architect.lib.group_commit import group_commit
from architect.live.watcher import watcher
from llm_providers.health.breakers import call_windows
from llm_providers.health.residency import residency
from llm_providers.routing.connections import adapter_of
from llm_providers.routing.keeper import snapshot_keeper
from tests.fakes.openai import FakeOpenAI
from tests.llm_providers.requests import serve
from tests.processes import WebProcess, cookie_of


@pytest.fixture(scope="session", autouse=True)
def _nothing_left_running(django_db_setup: None) -> Iterator[None]:
    """Threads with database connections of their own end before the test database is dropped."""
    yield
    group_commit().close()
    watcher().close()
    SyncToAsync.single_thread_executor.submit(connections.close_all).result()


@pytest.fixture(autouse=True)
def _quick_passwords(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["tests.hashers.QuickHasher"]


@pytest.fixture(autouse=True)
def _own_snapshot() -> Iterator[None]:
    """No test sees the providers of another, nor what was learnt of them, and no thread of one reads the database in
    the next.
    """
    yield
    watcher().close()
    snapshot_keeper.cache_clear()
    adapter_of.cache_clear()
    call_windows.cache_clear()
    residency.cache_clear()


@pytest.fixture
def person(transactional_db):
    return User.objects.create_superuser("ada", password="x")


@pytest.fixture
def cookie(person):
    return cookie_of(person)


@pytest.fixture
def provider(transactional_db):
    """A local provider whose answers can be long, slow and broken."""
    with FakeOpenAI() as fake:
        serve("ollama", fake.base_url)
        yield fake


@pytest.fixture
def web(provider):
    with WebProcess() as process:
        yield process


@pytest.fixture
def second_web(provider):
    with WebProcess() as process:
        yield process
