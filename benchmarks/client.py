"""What the client and its record add to a request: latency and CPU, beside a direct call to the same server.

    python -m benchmarks.client [--requests 300] [--concurrency 1 8]

The server is llama.cpp's own with a tiny model in another process, and answers of 16 tokens. Direct and recorded calls
take turns in one run, so that both meet the same machine. The database is a fresh file made for the run.
"""

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass

Call = Callable[[], Awaitable[None]]
_TOKENS = 16


@dataclass(frozen=True, slots=True)
class Figures:
    """Milliseconds per request: wall time at the median and the 95th percentile, CPU of this process on average."""

    median: float
    p95: float
    cpu: float

    def __str__(self) -> str:
        return f"median {self.median:6.2f} ms   p95 {self.p95:6.2f} ms   CPU {self.cpu:5.2f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 8])
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        _set_up_django(folder)
        from tests.lab.llama import real_llama

        with real_llama() as server:
            _declare(server.base_url)
            for durability in ("disk", "process"):
                _set_durability(durability)
                for concurrency in chosen.concurrency:
                    asyncio.run(_compare(server.base_url, durability, chosen.requests, concurrency))


def _set_up_django(folder: str) -> None:
    os.environ.update(VAR_DIR=folder, DATABASE_URL=f"sqlite:///{folder}/bench.sqlite3", ENV_FILE=os.devnull)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "architect.settings")
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)


def _declare(base_url: str) -> None:
    from llm_providers.engine.announce import announce

    announce(base_url=base_url, model="tiny", is_test=True, context_length=None, sees_images=False)


def _set_durability(durability: str) -> None:
    """On the connection that writes the records, as the setting LLM_DURABILITY does at its start."""
    from django.db import connection

    from architect.lib.group_commit import group_commit

    def set_pragma() -> None:
        # Inside a transaction the level cannot change; the next transaction finds it changed.
        connection.connection.commit()
        connection.connection.execute(f"PRAGMA synchronous={'FULL' if durability == 'disk' else 'NORMAL'}")
        connection.connection.execute("BEGIN")

    group_commit().submit(set_pragma).result()


async def _compare(base_url: str, durability: str, requests: int, concurrency: int) -> None:
    direct, recorded = await _calls(base_url)
    for call in (direct, recorded):
        await _measure(call, requests=20, concurrency=concurrency)
    rounds = [
        (await _measure(direct, requests=requests // 3, concurrency=concurrency),
         await _measure(recorded, requests=requests // 3, concurrency=concurrency))
        for _ in range(3)
    ]  # fmt: skip
    bare, full = (_middle([pair[side] for pair in rounds]) for side in (0, 1))
    print(f"\nLLM_DURABILITY={durability}, {concurrency} at once, 3 x {requests // 3} requests each")
    print(f"  direct call      {bare}")
    print(f"  client + record  {full}")
    print(f"  added            median {full.median - bare.median:6.2f} ms   p95 {full.p95 - bare.p95:6.2f} ms"
          f"   CPU {full.cpu - bare.cpu:5.2f} ms")  # fmt: skip


async def _calls(base_url: str) -> tuple[Call, Call]:
    import httpx

    from architect.lib.outbound import http_client
    from llm_providers.client import UnifiedLLMClient
    from llm_providers.types import Message, ModelRequest, Principal, PrivacyLabel, Purpose, Role, Sampling

    http: httpx.AsyncClient = await http_client(is_local=True)
    client = UnifiedLLMClient()
    body = {
        "model": "tiny", "messages": [{"role": "user", "content": "review this code"}], "stream": True,
        "max_tokens": _TOKENS, "stream_options": {"include_usage": True},
    }  # fmt: skip
    request = ModelRequest(
        (Message(Role.USER, "review this code"),), Purpose.BENCHMARK, Principal.system(), PrivacyLabel.PRIVATE,
        wanted_model="engine", sampling=Sampling(max_tokens=_TOKENS),
    )  # fmt: skip

    async def direct() -> None:
        async with http.stream("POST", f"{base_url}/chat/completions", json=body) as answer:
            async for _ in answer.aiter_lines():
                pass

    async def recorded() -> None:
        async with aclosing(client.stream(request)) as events:
            async for _ in events:
                pass

    return direct, recorded


async def _measure(call: Call, *, requests: int, concurrency: int) -> Figures:
    waits: list[float] = []

    async def one_after_another(count: int) -> None:
        for _ in range(count):
            began = time.perf_counter()
            await call()
            waits.append((time.perf_counter() - began) * 1000)

    cpu = time.process_time()
    await asyncio.gather(*(one_after_another(requests // concurrency) for _ in range(concurrency)))
    cpu_ms = (time.process_time() - cpu) * 1000 / len(waits)
    return Figures(statistics.median(waits), statistics.quantiles(waits, n=20)[-1], cpu_ms)


def _middle(figures: list[Figures]) -> Figures:
    return Figures(*(statistics.median(getattr(f, name) for f in figures) for name in ("median", "p95", "cpu")))


if __name__ == "__main__":
    main()
