"""What every template keeps to, so that the pages need no exception in the security policy and show every icon."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from django.contrib.auth.forms import AuthenticationForm
from django.template.loader import get_template, render_to_string

from architect.dashboard.navigation import PAGES

ROOT = Path(__file__).resolve().parent.parent.parent
TEMPLATES = ROOT / "templates"
ERROR_PAGES = ("400.html", "403.html", "403_csrf.html", "404.html", "500.html", "503.html")
TAG = re.compile(r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}", re.DOTALL)
SCRIPT = re.compile(r"<script\b([^>]*)>", re.IGNORECASE)
ICON = re.compile(r'(?:_icon\.html" with name|icon_name)="([a-z0-9-]+)"')
FORBIDDEN = {
    "a style attribute": re.compile(r"\sstyle\s*=", re.IGNORECASE),
    "a style element": re.compile(r"<style\b", re.IGNORECASE),
    "an event attribute": re.compile(r"\son[a-z]+\s*=", re.IGNORECASE),
    "script in an htmx attribute": re.compile(r"hx-on[:-]|[\"'](?:js|javascript):", re.IGNORECASE),
    "an outside address": re.compile(r"""(?:src|href|action|content)\s*=\s*["'](?:https?:)?//""", re.IGNORECASE),
}
UNESCAPED = re.compile(r"\|\s*safe(?:seq)?\b|autoescape\s+off")

templates = pytest.mark.parametrize(
    "path", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: path.relative_to(TEMPLATES).as_posix()
)


def html_of(path: Path) -> str:
    """The template without what Django replaces; a tag leaves a letter, so that attributes keep their place."""
    return TAG.sub("x", path.read_text(encoding="utf-8"))


def icons_in_templates() -> set[str]:
    return {name for path in TEMPLATES.rglob("*.html") for name in ICON.findall(path.read_text(encoding="utf-8"))}


def icons_in_sprite() -> set[str]:
    sprite = ElementTree.parse(ROOT / "static" / "img" / "icons.svg")
    return {symbol.attrib["id"] for symbol in sprite.iter("{http://www.w3.org/2000/svg}symbol")}


@templates
def test_it_is_understood_by_django(path: Path) -> None:
    assert get_template(path.relative_to(TEMPLATES).as_posix())


@templates
def test_it_holds_nothing_that_the_policy_forbids(path: Path) -> None:
    html = html_of(path)

    assert [what for what, pattern in FORBIDDEN.items() if pattern.search(html)] == []


@templates
def test_it_has_no_inline_script(path: Path) -> None:
    scripts = SCRIPT.findall(html_of(path))

    assert [script for script in scripts if "src=" not in script and 'type="application/json"' not in script] == []


@templates
def test_it_leaves_escaping_on(path: Path) -> None:
    assert UNESCAPED.search(path.read_text(encoding="utf-8")) is None


def test_it_finds_what_is_forbidden() -> None:
    bad = '<p style="x" onclick="y" hx-on:click="z"><style></style><img src="//example.org/a.png">'

    assert [what for what, pattern in FORBIDDEN.items() if pattern.search(bad)] == list(FORBIDDEN)


def test_it_has_a_symbol_for_every_icon() -> None:
    used = icons_in_templates() | {page.icon for page in PAGES}

    assert used - icons_in_sprite() == set()


def test_it_ships_no_symbol_that_nothing_shows() -> None:
    used = icons_in_templates() | {page.icon for page in PAGES}

    assert icons_in_sprite() - used == set()


@pytest.mark.parametrize("name", ERROR_PAGES)
def test_it_renders_error_pages_without_request_and_database(name: str) -> None:
    page = render_to_string(name)

    assert page.count("<h1>") == 1
    assert f"Status {name[:3]}" in page
    assert 'href="/static/css/app.css"' in page


def test_it_focuses_the_first_wrong_field_and_links_its_error() -> None:
    form = AuthenticationForm(data={"username": "ada", "password": ""})

    fields = render_to_string("_form.html", {"form": form})

    focused = [tag for tag in re.findall(r"<input[^>]*>", fields) if "autofocus" in tag]
    assert len(focused) == 1
    assert 'name="password"' in focused[0]
    assert 'aria-describedby="id_password_error"' in focused[0]
    assert 'id="id_password_error"' in fields


def test_it_focuses_the_field_that_asks_for_it_in_a_fresh_form() -> None:
    fields = render_to_string("_form.html", {"form": AuthenticationForm()})

    assert re.findall(r'<input[^>]*name="(\w+)"[^>]* autofocus>', fields) == ["username"]


def test_it_never_shows_a_password_again() -> None:
    form = AuthenticationForm(data={"username": "", "password": "correct horse"})

    assert "correct horse" not in render_to_string("_form.html", {"form": form})


def test_it_shows_what_people_and_models_wrote_as_text() -> None:
    turn = {"role": "user", "message_id": "m", "html": "<script>alert(1)</script>", "heading": "You"}

    page = render_to_string("chat/_turn.html", {"turn": turn})

    assert "<script" not in page
    assert "&lt;script&gt;" in page
