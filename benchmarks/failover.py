"""What a broken provider costs the requests that come after: milliseconds added to the same call of a healthy one.

    python -m benchmarks.failover [--requests 100]

The servers are the fakes of the tests on loopback, in this process, so that both sides hold the fakes' own work. Each
row is beside a run of the same length in which the broken provider was not there at all. The database is a fresh file
made for the run, durability `disk`.
"""

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

_HANG_TIMEOUT_S = 2.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=100)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        _set_up_django(folder)
        from tests.fakes.openai import FakeOpenAI

        with FakeOpenAI() as first, FakeOpenAI() as second:
            _declare(first.base_url, second.base_url)
            asyncio.run(_scenarios(first, chosen.requests))


def _set_up_django(folder: str) -> None:
    os.environ.update(VAR_DIR=folder, DATABASE_URL=f"sqlite:///{folder}/bench.sqlite3", ENV_FILE=os.devnull)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "architect.settings")
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)


def _declare(first: str, second: str) -> None:
    from tests.llm_providers.requests import serve

    serve("first", first, priority=1, timeout_s=_HANG_TIMEOUT_S)
    serve("second", second, priority=2, is_local=False)


async def _scenarios(first: Any, requests: int) -> None:
    from tests.fakes.behaviour import Fault

    await _times(20, wanted="second")
    print(f"\n{'':34}first      second     third      p95 of the next {requests}")
    for title, fault in (
        ("local refuses", Fault.REFUSE),
        (f"local hangs, timeout {_HANG_TIMEOUT_S:g} s", Fault.HANG),
        ("local fails with 500", Fault.SERVER_ERROR),
        ("429 with Retry-After: 3", Fault.RATE_LIMITED_SECONDS),
    ):
        await _change(_forget)
        first.fault = fault
        before = len(first.requests)
        felt = await _times(3)
        asked = len(first.requests) - before
        rest, healthy = await _beside(requests)
        bare = statistics.median(healthy)
        added = "  ".join(f"{ms - bare:+7.1f} ms" for ms in felt)
        print(f"{title:32}{added}  {_p95(rest) - _p95(healthy):+6.1f} ms   (healthy: median {bare:.1f},"
              f" p95 {_p95(healthy):.1f} ms; {asked} calls reached it)")  # fmt: skip
    await _half_open(first, Fault)


async def _half_open(first: Any, fault: Any) -> None:
    """50 requests at once, when the host is back and slow."""
    first.fault = fault.SERVER_ERROR
    await _change(_forget)
    await _times(2)
    await asyncio.gather(*(_times(1, wanted="second") for _ in range(50)))
    first.fault, first.first_byte_delay_s = fault.SLOW_FIRST_BYTE, 1.0
    await _change(_let_half_open)
    before = len(first.requests)
    together = sorted(wait for (wait,) in await asyncio.gather(*(_times(1) for _ in range(50))))
    healthy = sorted(wait for (wait,) in await asyncio.gather(*(_times(1, wanted="second") for _ in range(50))))
    print(f"half-open, 50 at once: {len(first.requests) - before} call reached it; the slowest of the other 49 took"
          f" {together[48]:.0f} ms (50 at once without it: {healthy[-1]:.0f} ms)")  # fmt: skip


async def _beside(requests: int) -> tuple[list[float], list[float]]:
    """(through the broken chain, the healthy provider alone), turn by turn."""
    rest, healthy = [], []
    for _ in range(requests):
        rest += await _times(1)
        healthy += await _times(1, wanted="second")
    return rest, healthy


async def _times(count: int, *, wanted: str = "auto") -> list[float]:
    """Milliseconds of each of `count` requests, one after the other; the second provider answers them all."""
    from llm_providers.client import UnifiedLLMClient
    from tests.llm_providers.requests import ask

    waits = []
    for _ in range(count):
        began = time.perf_counter()
        await UnifiedLLMClient().complete(ask(wanted_model=wanted))
        waits.append((time.perf_counter() - began) * 1000)
    return waits


def _p95(waits: list[float]) -> float:
    return statistics.quantiles(waits, n=20)[-1]


async def _change(change: Callable[[], None]) -> None:
    from channels.db import database_sync_to_async

    from llm_providers.health.breakers import call_windows

    call_windows.cache_clear()
    await database_sync_to_async(change)()


def _forget() -> None:
    from llm_providers.models import Breaker, RateGate
    from llm_providers.routing.keeper import configuration_changed

    Breaker.objects.all().delete()
    RateGate.objects.all().delete()
    configuration_changed()


def _let_half_open() -> None:
    from django.utils.timezone import now

    from llm_providers.models import Breaker
    from llm_providers.routing.keeper import configuration_changed

    Breaker.objects.update(open_until=now() - timedelta(seconds=1))
    configuration_changed()


if __name__ == "__main__":
    main()
