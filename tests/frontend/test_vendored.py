"""Files made by others are those that `vendored.toml` names, with their licences, and ask nothing of another host."""

import gzip
import hashlib
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
STATIC = ROOT / "static"
PACKAGES: list[dict[str, Any]] = tomllib.loads((STATIC / "vendor" / "vendored.toml").read_text(encoding="utf-8"))[
    "package"
]
ENTRIES: list[dict[str, Any]] = [entry for package in PACKAGES for entry in package["file"]]

ADDRESS = re.compile(r"(?:https?:)?//[a-z0-9-]+(?:\.[a-z0-9-]+)+[^\s\"'`)>\\]*", re.IGNORECASE)
# A namespace is a name, and the others stand in licence notices and in comments.
NEVER_LOADED = ("http://www.w3.org/", "https://tabler.io", "https://github.com/tabler/", "https://popper.js.org/")
LICENCE_WORDS = {"MIT": "Permission is hereby granted, free of charge", "MPL-2.0": "Mozilla Public License"}


def shipped_files() -> list[Path]:
    return sorted(path for path in STATIC.rglob("*") if path.suffix in {".css", ".js", ".svg"})


def compressed_size(path: Path) -> int:
    return len(gzip.compress(path.read_bytes()))


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["path"])
def test_it_has_the_file_with_the_sum_that_is_written_down(entry: dict[str, Any]) -> None:
    content = (ROOT / entry["path"]).read_bytes()

    assert hashlib.sha256(content).hexdigest() == entry["sha256"]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package["name"])
def test_it_ships_the_licence_of_each_package(package: dict[str, Any]) -> None:
    text = (ROOT / package["licence_file"]).read_text(encoding="utf-8")

    assert package["licence_file"] in {entry["path"] for entry in package["file"]}
    assert LICENCE_WORDS[package["licence"]] in text


def test_it_lists_every_file_in_the_vendor_folders() -> None:
    folders = (STATIC / "vendor", ROOT / "tests" / "vendor")
    found = {named(path) for folder in folders for path in folder.rglob("*") if path.is_file()}

    assert found - {"static/vendor/vendored.toml"} == {e["path"] for e in ENTRIES if "/vendor/" in e["path"]}


def test_it_says_what_was_changed_wherever_a_file_is_not_the_package_s_own() -> None:
    unexplained = [
        entry["path"]
        for entry in ENTRIES
        if ("member" not in entry or entry.get("drops_source_map")) and not entry.get("changed")
    ]

    assert unexplained == []


@pytest.mark.parametrize("path", shipped_files(), ids=named)
def test_it_loads_nothing_from_another_host(path: Path) -> None:
    addresses = ADDRESS.findall(path.read_text(encoding="utf-8"))

    assert [address for address in addresses if not address.startswith(NEVER_LOADED)] == []


@pytest.mark.parametrize("path", shipped_files(), ids=named)
def test_it_names_no_source_map_that_is_not_there(path: Path) -> None:
    assert "sourceMappingURL=" not in path.read_text(encoding="utf-8")


def test_it_keeps_the_own_sheet_and_scripts_small() -> None:
    sheet = compressed_size(STATIC / "css" / "app.css")
    scripts = sum(compressed_size(path) for path in (STATIC / "js").glob("*.js"))
    theme = compressed_size(STATIC / "js" / "theme.js")

    assert sheet <= 12 * 1024
    assert sheet + scripts <= 30 * 1024
    assert theme <= 512
