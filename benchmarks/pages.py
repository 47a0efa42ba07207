"""What each page costs the server, in time, queries and bytes, with many requests on record.

    python -m benchmarks.pages [--requests 1000000] [--rounds 30]

Each page is asked for with few rows and then with many, in the same run and process, through the whole of Django. The
database is a fresh SQLite file. Milliseconds at the median and the 95th percentile, kilobytes gzipped.
"""

import argparse
import gzip
import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import islice
from typing import Any

PAGES = (
    "/",
    "/providers/",
    "/requests/",
    "/requests/?state=failed",
    "/requests/?provider=claude",
    "/requests/?where=remote&state=failed",
    "/requests/?privacy=private",
    "/requests/?before={old}",
    "/requests/{old}/",
)
FRAGMENTS = ("/", "/providers/", "/requests/new/?than={new}")
_FEW = 2_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=30)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        _set_up_django(folder)
        client = _signed_in()
        few = _measure_all(client, _fill(_FEW, start=0), rounds=chosen.rounds)
        began = time.perf_counter()
        ids = _fill(chosen.requests - _FEW, start=_FEW)
        print(f"{chosen.requests:,} requests on record, the newest made in {time.perf_counter() - began:.0f} s")
        many = _measure_all(client, ids, rounds=chosen.rounds)
    print(f"{'':48}{f'{_FEW:,} requests':>18}{f'{chosen.requests:,} requests':>22}")
    print(f"{'':48}{'median':>9}{'p95':>9}{'median':>13}{'p95':>9}{'queries':>9}{'kB':>7}")
    for name, figures in many.items():
        before = few[name]
        print(f"{name:48}{before['median']:9.1f}{before['p95']:9.1f}{figures['median']:13.1f}{figures['p95']:9.1f}"
              f"{figures['queries']:9.0f}{figures['kb']:7.1f}")  # fmt: skip


def _set_up_django(folder: str) -> None:
    os.environ.update(VAR_DIR=folder, DATABASE_URL=f"sqlite:///{folder}/bench.sqlite3", ENV_FILE=os.devnull)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "architect.settings")
    import django
    from django.core.management import call_command

    django.setup()
    from django.conf import settings

    settings.ALLOWED_HOSTS = ["testserver"]
    call_command("migrate", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)


def _signed_in() -> Any:
    from django.test import Client

    from architect.accounts.models import User

    client = Client()
    client.force_login(User.objects.create_superuser("ada"))
    return client


def _fill(count: int, *, start: int) -> dict[str, str]:
    """Adds requests over the last ninety days; the ids of an old and of the newest one."""
    from llm_providers.models import Attempt, Provider, Request

    for name, kind, is_local in (("ollama", "ollama", True), ("claude", "anthropic", False)):
        Provider.objects.get_or_create(
            name=name, defaults={"kind": kind, "base_url": "http://127.0.0.1:1", "is_local": is_local}
        )
    rows = _requests(count, start=start)
    for batch in iter(lambda: list(islice(rows, 5_000)), []):
        made = Request.objects.bulk_create(batch)
        Attempt.objects.bulk_create(_attempts(made))
    found = Request.objects.order_by("-started_at")
    return {"new": found[50].public_id, "old": found[_FEW // 2].public_id}


def _requests(count: int, *, start: int) -> Iterator[Any]:
    from django.utils.timezone import now

    from llm_providers.models import Request

    chance, newest = random.Random(start), now()
    for number in range(start, start + count):
        is_local, state = chance.random() < 0.8, "ok" if chance.random() < 0.98 else "failed"
        yield Request(
            public_id=f"req_{number:026}", principal="system", purpose="chat", capability="chat",
            privacy="private" if chance.random() < 0.05 else "internal", wanted_model="auto", state=state,
            served_by="ollama/llama3.2" if is_local else "claude/claude-sonnet-5-5", is_local=is_local,
            started_at=newest - timedelta(seconds=chance.random() * 90 * 86_400), ttft_ms=chance.randint(50, 900),
            total_ms=chance.randint(900, 9_000), input_tokens=100, output_tokens=200, usage_source="reported",
            trail=[{"t": "ollama/llama3.2", "ok": True, "ttft_ms": 80}],
        )  # fmt: skip


def _attempts(requests: Iterable[Any]) -> list[Any]:
    from llm_providers.models import Attempt

    return [
        Attempt(
            request=request, ordinal=1, provider=request.served_by.partition("/")[0], served_model="m",
            is_local=request.is_local, state=request.state, started_at=request.started_at, ttft_ms=request.ttft_ms,
            total_ms=request.total_ms,
        )
        for request in requests
    ]  # fmt: skip


def _measure_all(client: Any, ids: dict[str, str], *, rounds: int) -> dict[str, dict[str, float]]:
    found = {page: _measure(client, page.format(**ids), {}, rounds=rounds) for page in PAGES}
    for page in FRAGMENTS:
        found[f"{page} (fragment)"] = _measure(client, page.format(**ids), {"HX-Request": "true"}, rounds=rounds)
    return found


def _measure(client: Any, address: str, headers: dict[str, str], *, rounds: int) -> dict[str, float]:
    from django.db import connection

    queries: list[str] = []

    def count(execute: Any, sql: str, *rest: Any) -> Any:
        queries.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(count):
        answer = client.get(address, headers=headers)
    if answer.status_code != 200:
        raise SystemExit(f"{address} answered with status {answer.status_code}")
    waits = []
    for _ in range(rounds):
        began = time.perf_counter()
        client.get(address, headers=headers)
        waits.append((time.perf_counter() - began) * 1000)
    return {
        "median": statistics.median(waits),
        "p95": statistics.quantiles(waits, n=20)[-1],
        "queries": len(queries),
        "kb": len(gzip.compress(answer.content)) / 1024,
    }


if __name__ == "__main__":
    main()
