"""Looks for the systems that people run beside this one, at their well-known ports, and tells them by their answers.

Only the hosts of `UI_PROBE_HOSTS` are asked, each port once and for a second: this is no scan of a network.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import orjson

from architect.lib.outbound import http_client

_PATIENCE_S = 1.0
_LONGEST_ANSWER = 256 * 1024

# What a system says of itself at a path, once parsed: its version or another short word, or None if it is not the one.
Recognise = Callable[[Any], str | None]


@dataclass(frozen=True, slots=True)
class System:
    """`command` starts it in a shell; `kind` is that of its adapter, empty where it serves no models.

    `api` is what its address as a provider ends with.
    """

    name: str
    title: str
    ports: tuple[int, ...]
    path: str
    recognise: Recognise
    what_for: str
    command: str = ""
    kind: str = ""
    api: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    system: System
    origin: str
    says: str

    @property
    def base_url(self) -> str:
        return f"{self.origin}{self.system.api}"


def _version(said: Any) -> str | None:
    return str(said["version"])


def _whisper_models(said: Any) -> str | None:
    names = [str(model["id"]) for model in said["data"] if "whisper" in str(model["id"]).lower()]
    return ", ".join(names[:3]) or None


def _llama_cpp(said: Any) -> str | None:
    return str(said.get("model_path") or "a model") if "default_generation_settings" in said else None


def _status_true(said: Any) -> str | None:
    return "healthy" if said["status"] is True else None


def _n8n(said: Any) -> str | None:
    return {"ok": "ready", "error": "starting"}.get(said["status"])


def _online(said: Any) -> str | None:
    return "online" if said["online"] is True else None


def _comfyui(said: Any) -> str | None:
    return str(said["system"]["comfyui_version"])


# A port that two systems like is told by whose path answers; of those that share a path, the first that recognises it.
SYSTEMS: tuple[System, ...] = (
    System(
        "ollama", "Ollama", (11434,), "/api/version", _version, "runs models on this machine",
        "curl -fsSL https://ollama.com/install.sh | sh && ollama pull llama3.2", kind="ollama",
    ),
    System(
        "llamacpp", "llama.cpp server", (8080,), "/props", _llama_cpp, "runs one GGUF model",
        "llama-server -m model.gguf --port 8080", kind="openai_compatible", api="/v1",
    ),
    System(
        "localai", "LocalAI", (8080,), "/version", _version, "runs models of many kinds",
        "docker run -d --name localai -p 127.0.0.1:8080:8080 localai/localai:latest", kind="localai", api="/v1",
    ),
    System(
        "open_webui", "Open WebUI", (3000,), "/health", _status_true, "another chat, for this product's models, too",
        "docker run -d --name open-webui -p 127.0.0.1:3000:8080 -v open-webui:/app/backend/data"
        " ghcr.io/open-webui/open-webui:main",
    ),
    System(
        "n8n", "n8n", (5678,), "/healthz/readiness", _n8n, "automates what happens here and elsewhere",
        "docker run -d --name n8n -p 127.0.0.1:5678:5678 -v n8n:/home/node/.n8n docker.n8n.io/n8nio/n8n",
    ),
    System(
        "anythingllm", "AnythingLLM", (3001,), "/api/ping", _online, "a document base",
        "docker run -d --name anythingllm -p 127.0.0.1:3001:3001 -v anythingllm:/app/server/storage"
        " -e STORAGE_DIR=/app/server/storage mintplexlabs/anythingllm",
    ),
    System("comfyui", "ComfyUI", (8188,), "/system_stats", _comfyui, "draws pictures", "comfy launch"),
    System("whisper", "Whisper server", (8000, 9000), "/v1/models", _whisper_models, "turns speech into text"),
)  # fmt: skip


async def look_around(
    hosts: Iterable[str], *, systems: Sequence[System] = SYSTEMS, own_port: int | None = None
) -> list[Found]:
    """Who answers at the hosts, in the order of `systems`; `own_port` is ours and not asked."""
    places = [
        (system, f"http://{host}:{port}")
        for system in systems
        for host in hosts
        for port in system.ports
        if port != own_port
    ]
    answers = await asyncio.gather(*(_ask(system, origin) for system, origin in places))
    found = [Found(system, origin, says) for (system, origin), says in zip(places, answers, strict=True) if says]
    return _one_of_each(found)


def _one_of_each(found: Iterable[Found]) -> list[Found]:
    """The same server may answer under two names of its host, and be taken for two systems of one form."""
    by_system: dict[str, Found] = {}
    origins: set[str] = set()
    for one in found:
        if one.system.name not in by_system and one.origin not in origins:
            by_system[one.system.name] = one
            origins.add(one.origin)
    return list(by_system.values())


async def _ask(system: System, origin: str) -> str | None:
    client = await http_client(is_local=True)
    try:
        async with asyncio.timeout(_PATIENCE_S), client.stream("GET", origin + system.path) as response:
            if response.status_code not in (200, 503):
                return None
            return system.recognise(orjson.loads(await _beginning_of(response)))
    except (httpx.HTTPError, OSError, TimeoutError, ValueError, LookupError, TypeError, AttributeError):
        return None  # nobody there, or somebody else


async def _beginning_of(response: httpx.Response) -> bytes:
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > _LONGEST_ANSWER:
            raise ValueError("an answer that long is none of those that are looked for")
    return bytes(body)
