"""A real Chromium on a real web process; every page that it leaves must have kept the rules."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from architect.accounts.models import User
from llm_providers.engine.announce import announce
from tests.lab.llama import real_llama
from tests.processes import WebProcess, cookie_of

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
AXE = (Path(__file__).parent.parent / "vendor" / "axe.min.js").read_text()


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Ended with its module: while Playwright runs, its thread counts as asynchronous, for Django and other tests."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("CI needs a Chromium: apt-get install chromium")
        pytest.skip("no Chromium found; get it with: apt-get install chromium")
    with sync_playwright() as playwright, pytest.MonkeyPatch.context() as environment:
        environment.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        chromium = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def llama():
    with real_llama() as server:
        yield server


@pytest.fixture
def site(browser, transactional_db, llama):
    """The product with the built-in engine's test model behind it, answered by a real llama.cpp."""
    announce(base_url=llama.base_url, model="built-in-test-model", is_test=True, context_length=2048, sees_images=False)
    with WebProcess(DEBUG="true") as process:
        yield process


@pytest.fixture
def context(browser, site) -> Iterator[BrowserContext]:
    opened = browser.new_context(base_url=site.origin, viewport={"width": 1440, "height": 900})
    yield opened
    opened.close()


@pytest.fixture
def page(context) -> Iterator[Page]:
    """A page that fails its test when the browser complained: a script's error, a violated policy, a missing file."""
    complaints: list[str] = []
    opened = context.new_page()
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("console", lambda said: complaints.append(f"{said.text} {said.location}") if is_complaint(said) else None)
    yield opened
    assert complaints == []


@pytest.fixture
def signed_in(page: Page, context: BrowserContext, site: WebProcess) -> Page:
    person = User.objects.create_superuser("ada", password="correct horse battery")
    name, value = cookie_of(person).split("=", 1)
    context.add_cookies([{"name": name, "value": value, "url": site.origin}])
    return page


def is_complaint(said: ConsoleMessage) -> bool:
    """Errors, but not that of a page that a test asks for because it is not there."""
    return said.type == "error" and "/nowhere/" not in said.location["url"]


def violations(page: Page) -> list[str]:
    """What axe finds against WCAG 2.2 AA, a line each."""
    # Through the protocol, because the policy of the page forbids scripts that it did not name.
    page.evaluate(AXE)
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
    found = page.evaluate("tags => axe.run(document, {runOnly: tags})", tags)
    return [
        f"{violation['id']}: {node['html'][:160]}" for violation in found["violations"] for node in violation["nodes"]
    ]
