"""A new kind of provider is one new file in the folder of the adapters, and nothing else."""

import gc
import sys
from pathlib import Path

import pytest
from channels.db import database_sync_to_async

import llm_providers.adapters as package
from llm_providers.adapters.registry import adapters
from llm_providers.client import UnifiedLLMClient
from llm_providers.declared.file import read_declaration
from llm_providers.health.discovery import discover
from llm_providers.models import Provider, Request
from llm_providers.sync import sync
from tests.llm_providers.requests import ask

pytestmark = pytest.mark.django_db(transaction=True)

NEW_FILE = '''
"""Says again what was said last."""

from collections.abc import AsyncGenerator

from llm_providers.adapters.base import Adapter
from llm_providers.types import (
    AdapterEvent, Capability, ChatCall, Finished, FinishReason, ModelDescription, TextDelta, Usage,
)


class ParrotAdapter(Adapter):
    kind = "parrot"
    title = "Parrot"

    async def models(self) -> tuple[ModelDescription, ...]:
        return (ModelDescription("polly", frozenset({Capability.CHAT})),)

    async def _chat(self, call: ChatCall) -> AsyncGenerator[AdapterEvent, None]:
        yield TextDelta(call.messages[-1].text)
        yield Usage(1, 1)
        yield Finished(FinishReason.STOP)
'''


@pytest.fixture
def parrot(tmp_path: Path):
    (tmp_path / "parrot.py").write_text(NEW_FILE)
    package.__path__.append(str(tmp_path))
    adapters.cache_clear()
    yield
    package.__path__.remove(str(tmp_path))
    del sys.modules["llm_providers.adapters.parrot"]
    delattr(package, "parrot")
    gc.collect()
    adapters.cache_clear()


async def test_it_is_declared_discovered_asked_and_on_record(parrot, tmp_path):
    declared = tmp_path / "llm_providers.yaml"
    declared.write_text("providers: {polly: {kind: parrot, base_url: 'http://127.0.0.1:1', local: true}}")
    await database_sync_to_async(sync)(read_declaration(declared, variables={}))
    provider = await Provider.objects.aget()
    await database_sync_to_async(provider.full_clean)()
    await database_sync_to_async(discover)(provider)

    answered = await UnifiedLLMClient().complete(ask("Pretty boy!"))

    assert (answered.text, answered.provider, answered.model) == ("Pretty boy!", "polly", "polly")
    assert (await Request.objects.aget()).served_by == "polly/polly"
