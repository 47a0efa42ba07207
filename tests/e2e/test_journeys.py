"""The first journey of a stranger, and what must hold on every page of it."""

import re

import pytest
from playwright.sync_api import Page, expect

from architect.accounts.services import setup_link
from architect.chat.models import Run
from llm_providers.models import Breaker, Provider, Request
from tests.e2e.conftest import violations
from tests.fakes.behaviour import Fault
from tests.fakes.openai import FakeOpenAI
from tests.llm_providers.requests import serve

pytestmark = pytest.mark.django_db(transaction=True)
PASSWORD = "correct horse battery"
THEMES = ("light", "dark")
SIZES = {"desk": (1440, 900), "phone": (390, 844)}


def ask(page: Page, text: str) -> None:
    page.wait_for_url("**/chat/**")
    page.wait_for_load_state("domcontentloaded")
    page.get_by_label("Your message").fill(text)
    page.keyboard.press("Enter")


def answers(page: Page):
    return page.locator('.a-turn-assistant[data-state="complete"]')


def test_a_stranger_reaches_an_answer_of_a_real_model(page, site):
    page.goto(f"/welcome/{setup_link().rstrip('/').rsplit('/', 1)[1]}/")
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label(re.compile("Password confirmation|Repeat", re.IGNORECASE)).fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site.origin}/")
    page.get_by_role("link", name="Chat", exact=True).first.click()
    ask(page, "What is the plan?")

    answer = answers(page)
    expect(answer).to_have_count(1)
    expect(answer).to_contain_text("built-in-test-model")
    expect(answer).to_contain_text("tokens/s")
    expect(answer).to_contain_text("random words, to try the plumbing")
    expect(answer).to_contain_text("local")
    expect(page.get_by_role("heading", level=1)).to_have_text("What is the plan?")
    request = Request.objects.get()
    assert (request.state, request.served_by) == ("ok", "engine/built-in-test-model")
    assert request.content.answer.strip() in answer.locator(".a-turn-body").inner_text().replace("\n", " ")


def test_a_conversation_is_the_same_after_a_reload(signed_in):
    page = signed_in
    page.goto("/chat/")
    ask(page, "One")
    expect(answers(page)).to_have_count(1)
    ask(page, "Two")
    expect(answers(page)).to_have_count(2)
    before = page.locator("#transcript").inner_text()

    page.reload()

    expect(answers(page)).to_have_count(2)
    assert page.locator("#transcript").inner_text() == before
    expect(page.get_by_role("link", name="One", exact=True)).to_have_attribute("aria-current", "page")


def test_a_text_that_was_never_sent_comes_back_to_be_decided(signed_in):
    page = signed_in
    page.goto("/chat/")
    page.evaluate(
        """() => {
          const key = `chat.unsent.${document.getElementById("transcript").dataset.person}.new`;
          const message = { id: crypto.randomUUID(), text: "Left behind", model: "auto", written: 0 };
          localStorage.setItem(key, JSON.stringify(message));
        }"""
    )

    page.reload()

    expect(page.get_by_label("Your message")).to_have_value("Left behind")
    expect(page.locator("#composer-status")).to_contain_text("never sent")
    assert not Run.objects.exists()


def test_a_second_tab_shows_what_the_first_one_asked(signed_in, context):
    first = signed_in
    first.goto("/chat/")
    ask(first, "One")
    expect(answers(first)).to_have_count(1)
    second = context.new_page()
    second.goto(first.url)

    ask(first, "Two")

    expect(answers(second)).to_have_count(2)


def test_a_model_can_be_picked(signed_in):
    page = signed_in
    page.goto("/chat/")
    page.get_by_label("Model", exact=True).select_option("engine/built-in-test-model")

    ask(page, "One")

    expect(answers(page)).to_have_count(1)
    assert Run.objects.get().model_asked == "engine/built-in-test-model"


def test_the_chat_works_without_a_script(browser, context, signed_in, site):
    bare = browser.new_context(base_url=site.origin, java_script_enabled=False, storage_state=context.storage_state())
    page = bare.new_page()
    page.goto("/chat/")
    page.locator("#composer-text").fill("Hello without a script")
    page.locator("#composer-send").click()

    expect(page).to_have_url(re.compile("/chat/[0-9a-f-]{36}/"))
    for _ in range(20):
        if answers(page).count():
            break
        page.reload()
    expect(answers(page)).to_have_count(1)
    bare.close()


def test_the_home_page_follows_what_happens(signed_in, context):
    home = signed_in
    home.goto("/")
    expect(home.locator("#state")).to_contain_text("1 of 1 provider up, all local")
    from llm_providers.engine.announce import withdraw

    withdraw(problem="The engine was stopped for the test.")

    expect(home.locator("#state")).to_contain_text("No model answers", timeout=4000)
    expect(home.locator("#state")).to_contain_text("The engine was stopped for the test.")


@pytest.fixture
def two_more(site):
    """Two local providers beside the engine, the first of them a fake whose state the test changes."""
    with FakeOpenAI() as fake, FakeOpenAI() as other:
        serve("ollama", fake.base_url, health="up")
        serve("localai", other.base_url, health="up")
        yield fake


def test_the_providers_page_shows_the_truth_in_two_browsers(signed_in, context, two_more):
    pages = (signed_in, context.new_page())
    cards = []
    for page in pages:
        page.goto("/providers/")
        page.wait_for_load_state("networkidle")
        cards.append(page.locator("#provider-ollama"))

    for fault, state in ((Fault.REFUSE, "down"), (Fault.NONE, "up"), (Fault.REFUSE, "down")):
        two_more.fault = fault
        for card in cards:
            expect(card.locator(".status")).to_have_text(state, timeout=3000)


def test_a_provider_is_switched_by_keyboard_and_the_last_wants_a_reason(signed_in, two_more):
    page = signed_in
    page.goto("/providers/")
    page.locator("#switch-ollama").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#toasts")).to_contain_text("ollama is off.")
    expect(page.locator("#provider-ollama .status")).to_have_text("off")
    expect(page.locator("#switch-ollama")).to_be_focused()

    page.locator("#switch-localai").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Why all the same?")).to_be_focused()
    page.keyboard.type("moved")
    page.locator("#switch-localai").focus()
    page.keyboard.press("Enter")

    expect(page.locator("#toasts")).to_contain_text("localai is off.")
    assert not Provider.objects.get(name="localai").is_on


def test_switching_and_reading_work_without_script(browser, site, context, signed_in, two_more):
    bare = browser.new_context(java_script_enabled=False, base_url=site.origin, storage_state=context.storage_state())
    page = bare.new_page()
    page.goto("/providers/")
    page.locator("#switch-ollama").click()

    expect(page.get_by_role("status").first).to_contain_text("ollama is off.")
    page.locator("#switch-localai").click()
    page.get_by_label("Why all the same?").fill("moved")
    page.locator("#switch-localai").click()
    expect(page.get_by_role("status").first).to_contain_text("localai is off.")
    page.goto("/requests/")
    page.get_by_label("State").select_option("failed")
    page.locator("#apply-filters").click()
    expect(page.locator("main")).to_contain_text("No request is like that")
    bare.close()


def test_the_whole_way_works_by_keyboard_alone(page, site):
    from architect.accounts.models import User

    User.objects.create_superuser("ada", password=PASSWORD)
    page.goto("/")
    page.keyboard.type("ada")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site.origin}/")
    page.wait_for_load_state("networkidle")
    page.keyboard.press("g")
    page.keyboard.press("c")
    page.wait_for_url(f"{site.origin}/chat/")
    page.get_by_label("Your message").focus()
    page.keyboard.type("By keyboard")
    page.keyboard.press("Enter")

    expect(answers(page)).to_have_count(1)
    expect(page.get_by_label("Your message")).to_be_focused()


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("size", SIZES)
def test_every_page_is_accessible_and_fits(signed_in, theme, size):
    page = signed_in
    page.emulate_media(color_scheme=theme)
    page.set_viewport_size(dict(zip(("width", "height"), SIZES[size], strict=True)))
    page.goto("/chat/")
    ask(page, "A question with `code` and averylongwordwithoutanyspaceatall" + "x" * 200)
    expect(answers(page)).to_have_count(1)
    conversation = page.url
    found = {}
    wide = []

    Breaker.objects.create(
        provider=Provider.objects.get(name="engine"), scope="endpoint", forced="open", reason="refused"
    )
    request = f"/requests/{Request.objects.first().public_id}/"
    frame = ("/", "/chat/", "/providers/", "/requests/", "/requests/?state=failed", "/settings/profile/")

    for path in (conversation, *frame, request, "/models-help/"):
        page.goto(path)
        page.wait_for_load_state("networkidle")
        found[path] = violations(page)
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            wide.append(path)

    assert found == {path: [] for path in found}
    assert wide == []


@pytest.mark.parametrize("theme", THEMES)
def test_the_doors_are_accessible(page, theme):
    page.emulate_media(color_scheme=theme)
    page.goto(f"/welcome/{setup_link().rstrip('/').rsplit('/', 1)[1]}/")
    first = violations(page)
    page.goto("/sign-in/")

    assert first == []
    assert violations(page) == []


def test_the_admin_keeps_the_policy_of_the_pages(signed_in):
    page = signed_in
    for path in ("/admin/", "/admin/llm_providers/provider/", "/admin/llm_providers/provider/add/"):
        answer = page.goto(path)
        policy = answer.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "nonce" not in policy


def test_a_persons_markup_is_text_on_every_page(signed_in):
    page = signed_in
    attack = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    page.goto("/chat/")

    ask(page, attack)

    expect(answers(page)).to_have_count(1)
    expect(page.locator(".a-turn-user .a-turn-body")).to_have_text(attack)
    page.reload()
    expect(page.locator(".a-turn-user .a-turn-body")).to_have_text(attack)
