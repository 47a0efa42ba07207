"""Pictures of every page, to be looked at: empty, filled and failing, at two widths, light and dark.

    make shots            writes var/shots/<state>/<page>-<width>-<theme>.png

The product runs on a database of its own with made-up data; its neighbours are the fakes of the tests.
"""

import os
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SHOTS = ROOT / "var" / "shots"
WIDTHS = {1440: 900, 390: 844}
THEMES = ("light", "dark")
PAGES = {
    "home": "/",
    "providers": "/providers/",
    "requests": "/requests/",
    "request": "/requests/{request}/",
    "chat": "/chat/",
    "models-help": "/models-help/",
    "profile": "/settings/profile/",
    "admin-providers": "/admin/llm_providers/provider/",
}
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


def main() -> None:
    shutil.rmtree(SHOTS, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        _set_up_django(folder)
        _take_all()
    print(f"{len(list(SHOTS.rglob('*.png')))} pictures in {SHOTS}")


def _set_up_django(folder: str) -> None:
    os.environ.update(VAR_DIR=folder, DATABASE_URL=f"sqlite:///{folder}/shots.sqlite3", ENV_FILE=os.devnull)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "architect.settings")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # Playwright's own loop runs in this thread
    sys.path.insert(0, str(ROOT))
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)


def _take_all() -> None:
    from architect.accounts.models import User
    from tests.fakes.behaviour import Fault
    from tests.fakes.localai import FakeLocalAI
    from tests.fakes.ollama import FakeOllama
    from tests.processes import WebProcess, cookie_of

    cookie = cookie_of(User.objects.create_superuser("ada"))
    with WebProcess() as web, FakeOllama() as ollama, FakeLocalAI() as localai:
        _take("empty", web.origin, cookie, request=None)
        newest = _fill(ollama.base_url, localai.base_url)
        _take("filled", web.origin, cookie, request=newest)
        localai.fault = Fault.REFUSE
        _break()
        _take("failing", web.origin, cookie, request=_failed_request())


def _take(state: str, origin: str, cookie: str, *, request: str | None) -> None:
    name, _, value = cookie.partition("=")
    for width in WIDTHS:
        for theme in THEMES:
            with _browser_page(width, theme) as page:
                page.context.add_cookies([{"name": name, "value": value, "url": origin}])
                for title, path in PAGES.items():
                    if "{request}" not in path or request:
                        page.goto(origin + path.format(request=request))
                        page.wait_for_load_state("networkidle")
                        page.wait_for_timeout(1_500)  # for what is asked for once the page stands
                        page.screenshot(path=SHOTS / state / f"{title}-{width}-{theme}.png", full_page=True)


@contextmanager
def _browser_page(width: int, theme: Any) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    executable = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser.new_page(viewport={"width": width, "height": WIDTHS[width]}, color_scheme=theme)
        browser.close()


def _fill(ollama: str, localai: str) -> str:
    """Providers, an hour of heartbeats, and requests of a day; the id of the newest."""
    from django.utils.timezone import now

    from llm_providers.health.discovery import discover
    from llm_providers.health.heartbeats import Beat, count
    from llm_providers.models import Provider, Request

    for name, kind, address, is_local in (
        ("ollama", "ollama", ollama, True),
        ("localai", "localai", localai, True),
        ("claude", "anthropic", "https://api.anthropic.com", False),
    ):
        provider = Provider.objects.create(
            name=name, kind=kind, base_url=address, is_local=is_local, priority=1,
            accepts_up_to="private" if is_local else "internal", secret_env="" if is_local else "ANTHROPIC_API_KEY",
        )  # fmt: skip
        discover(provider)
        if is_local:
            for minute in range(1, 60):
                beat = Beat.DOWN if minute in (31, 32, 33) else Beat.SLOW if minute % 17 == 0 else Beat.UP
                count(provider, beat, at=now() - timedelta(minutes=minute))
    for number in range(60):
        _add_request(number)
    return Request.objects.order_by("-started_at")[0].public_id


def _add_request(number: int) -> None:
    from django.utils.timezone import now

    from llm_providers.models import Attempt, Request, RequestContent

    chance = random.Random(number)
    at = now() - timedelta(minutes=number * 7)
    target = "localai/llama3" if number % 9 == 0 else "ollama/gemma3:1b"
    trail: list[dict[str, Any]] = [
        {"t": target, "ok": True, "ttft_ms": 180},
        {"rule": "label internal; order: priority"},
    ]
    if number % 9 == 0:
        trail.insert(0, {"t": "ollama/gemma3:1b", "failed": "server_error", "ms": 12})
    request = Request.objects.create(
        public_id=f"req_01JD{number:022}", principal="person:1", owner_id=1, purpose="chat", capability="chat",
        privacy="private" if number % 11 == 0 else "internal", wanted_model="auto", state="ok", served_by=target,
        is_local=True, started_at=at, finished_at=at, ttft_ms=chance.randint(80, 600),
        total_ms=chance.randint(900, 6_000), input_tokens=chance.randint(40, 900), usage_source="reported",
        output_tokens=chance.randint(80, 700), trail=trail,
        fallback_reason="ollama=server_error" if number % 9 == 0 else "",
    )  # fmt: skip
    RequestContent.objects.create(
        request=request,
        prompt=[{"role": "user", "text": "What does this function return for an empty list?"}],
        answer="It returns `None`, because the loop never runs and nothing is returned after it.",
    )
    Attempt.objects.create(
        request=request, ordinal=1, provider=target.partition("/")[0], served_model=target.partition("/")[2],
        is_local=True, state="ok", started_at=at, ttft_ms=request.ttft_ms, total_ms=request.total_ms,
        input_tokens=request.input_tokens, output_tokens=request.output_tokens,
    )  # fmt: skip


def _break() -> None:
    from django.utils.timezone import now

    from llm_providers.models import Breaker, Provider, RateGate
    from llm_providers.routing.keeper import configuration_changed

    ollama = Provider.objects.get(name="ollama")
    soon = now() + timedelta(minutes=5)
    Breaker.objects.create(
        provider=ollama, scope="model", model="gemma3:1b", state="open", open_until=soon, reason="slow"
    )
    RateGate.objects.create(provider=Provider.objects.get(name="claude"), until=soon, reason="rate_limited")
    configuration_changed()


def _failed_request() -> str:
    from django.utils.timezone import now

    from llm_providers.models import Attempt, Request

    trail = [
        {"t": "ollama/gemma3:1b", "skip": "breaker_open"},
        {"t": "localai/llama3", "failed": "refused", "ms": 3},
        {"t": "claude", "skip": "privacy"},
        {"rule": "label private; order: priority"},
    ]
    request = Request.objects.create(
        public_id="req_01JDFAILED", principal="person:1", owner_id=1, purpose="chat", capability="chat",
        privacy="private", wanted_model="auto", state="failed", started_at=now(), finished_at=now(), total_ms=14,
        trail=trail,
    )  # fmt: skip
    Attempt.objects.create(
        request=request, ordinal=1, provider="localai", served_model="llama3", is_local=True, state="failed",
        event="refused", started_at=now(), total_ms=3, error_text="Connect call failed ('127.0.0.1', 8080)",
    )  # fmt: skip
    return request.public_id


if __name__ == "__main__":
    main()
