"""Who is beside us is told by what they say, not by where they listen."""

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlsplit

import orjson
import pytest

from architect.dashboard.neighbours import SYSTEMS, look_around
from llm_providers.models import Provider
from tests.fakes.behaviour import Fault
from tests.fakes.localai import VERSION as LOCALAI_VERSION
from tests.fakes.localai import FakeLocalAI
from tests.fakes.ollama import VERSION, FakeOllama
from tests.fakes.server import FakeServer, RecordedRequest, Wire
from tests.lab.llama import real_llama

# What each system says of itself, as its own documentation shows it.
SAID = {
    "open_webui": ("/health", {"status": True}),
    "n8n": ("/healthz/readiness", {"status": "ok"}),
    "anythingllm": ("/api/ping", {"online": True}),
    "comfyui": ("/system_stats", {"system": {"os": "posix", "comfyui_version": "0.3.75"}, "devices": []}),
    "whisper": ("/v1/models", {"data": [{"id": "Systran/faster-whisper-small"}]}),
    "llamacpp": ("/props", {"default_generation_settings": {}, "model_path": "tiny.gguf"}),
}


class Says(FakeServer):
    """Answers one path with one JSON object."""

    def __init__(self, path: str, said: object) -> None:
        super().__init__()
        self._path, self._said = path, said

    async def answer(self, request: RecordedRequest, wire: Wire) -> None:
        status, said = (200, self._said) if request.path == self._path else (404, {"error": "not found"})
        await wire.whole(status, orjson.dumps(said), (("Content-Type", "application/json"),))


def at(ports: Mapping[str, int]):
    """The systems, each at the port that is given for its name; the others nowhere."""
    return [replace(system, ports=(ports[system.name],)) for system in SYSTEMS if system.name in ports]


async def found_at(ports, **options):
    return {one.system.name: one.says for one in await look_around(["127.0.0.1"], systems=at(ports), **options)}


@pytest.mark.parametrize("name", SAID)
async def test_each_is_told_by_its_answer(name):
    with Says(*SAID[name]) as server:
        assert list(await found_at({name: server.port})) == [name]


@pytest.mark.parametrize("name", SAID)
async def test_somebody_else_at_the_port_is_not_taken_for_it(name):
    path, _ = SAID[name]
    for said in ({"status": "fine"}, [], "ok", {"data": [{"id": "llama3"}]}, {"system": None}, None):
        with Says(path, said) as server:
            assert await found_at({name: server.port}) == {}


async def test_model_servers_tell_their_version_or_models():
    with FakeOllama() as ollama, FakeLocalAI() as localai:
        found = await found_at({"ollama": ollama.port, "localai": localai.port})

    assert found == {"ollama": VERSION, "localai": LOCALAI_VERSION}


async def test_a_llama_server_is_not_taken_for_localai_though_both_list_models():
    with real_llama() as llama:
        port = urlsplit(llama.base_url).port
        found = await found_at({"llamacpp": port, "localai": port})

    assert list(found) == ["llamacpp"]


async def test_nobody_a_silent_one_and_ourselves_cost_a_second_at_most():
    with FakeOllama() as silent, FakeOllama() as own:
        silent.fault = Fault.HANG
        assert await found_at({"ollama": silent.port}) == {}
        assert await found_at({"ollama": own.port}, own_port=own.port) == {}
        assert own.requests == []


@pytest.mark.django_db(transaction=True)
def test_the_page_shows_who_is_in_use_and_offers_the_others(client, person, settings):
    settings.UI_PROBE_HOSTS = ("127.0.0.1",)
    client.force_login(person)
    Provider.objects.create(name="ollama", kind="ollama", base_url="http://127.0.0.1:11434", is_local=True)

    page = client.get("/neighbours/").content.decode()

    assert 'id="neighbours"' in page
    assert "ollama pull llama3.2" in page or "In use as" in page
    assert 'hx-get="/neighbours/"' in client.get("/models-help/").content.decode()
