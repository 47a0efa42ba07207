"""Fetches the front-end files named in `static/vendor/vendored.toml` again and checks their sums.

A wrong tarball stops before any of its files is written. A wrong file is reported with the sum that it has; when the
change is meant, that sum goes into `vendored.toml`.
"""

import base64
import hashlib
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
MANIFEST = ROOT / "static" / "vendor" / "vendored.toml"
SVG = "{http://www.w3.org/2000/svg}"
SOURCE_MAP_COMMENT = re.compile(rb"\n?(?://[#@]\s*sourceMappingURL=\S+|/\*[#@]\s*sourceMappingURL=\S+\s*\*/)\s*$")

Entry = Mapping[str, Any]


def main() -> int:
    """0 when every file is in place with its sum, 1 otherwise."""
    manifest = tomllib.loads(MANIFEST.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        for package in manifest["package"]:
            _fetch(package, folder=Path(folder))
    wrong = list(_wrong_sums(manifest))
    print("\n".join(wrong) or "Every vendored file is in place.")
    return 1 if wrong else 0


def _fetch(package: Entry, *, folder: Path) -> None:
    tarball = _packed(package, folder=folder)
    with tarfile.open(tarball) as archive:
        for entry in package["file"]:
            if content := _content(entry, archive=archive):
                target = ROOT / entry["path"]
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)


def _packed(package: Entry, *, folder: Path) -> Path:
    """The package's tarball from the npm registry.

    Raises:
        SystemExit: it is not the one whose sum is written down.
    """
    name = f"{package['name']}@{package['version']}"
    command = ["npm", "pack", "--silent", "--pack-destination", str(folder), name]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, cwd=folder)
    tarball = folder / answer.stdout.split()[-1]
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode()
    if integrity != package["integrity"]:
        raise SystemExit(f"{name}: the tarball has {integrity}, expected {package['integrity']}.")
    return tarball


def _content(entry: Entry, *, archive: tarfile.TarFile) -> bytes | None:
    """What belongs into the file; None for a file that the package does not hold and that is kept by hand."""
    if "symbols" in entry:
        return _sprite(entry["symbols"], archive=archive)
    if "member" not in entry:
        return None
    content = _read(archive, entry["member"])
    return SOURCE_MAP_COMMENT.sub(b"\n", content) if entry.get("drops_source_map") else content


def _read(archive: tarfile.TarFile, member: str) -> bytes:
    stream = archive.extractfile(f"package/{member}")
    if stream is None:
        raise SystemExit(f"The package holds no file {member}.")
    return stream.read()


def _sprite(names: list[str], *, archive: tarfile.TarFile) -> bytes:
    """One SVG with a symbol for each icon; the width of the stroke is left to the page."""
    symbols = "".join(f"{_symbol(name, archive=archive)}\n" for name in names)
    return f'<svg xmlns="http://www.w3.org/2000/svg">\n{symbols}</svg>\n'.encode()


def _symbol(name: str, *, archive: tarfile.TarFile) -> str:
    drawing = ElementTree.fromstring(_read(archive, f"icons/outline/{name}.svg"))
    # Each icon begins with an invisible square that only keeps editors from cropping it.
    paths = "".join(
        f'<path d="{path.get("d")}"/>' for path in drawing.iter(f"{SVG}path") if path.get("stroke") != "none"
    )
    strokes = 'fill="none" stroke="currentColor" stroke-linecap="round" stroke-linejoin="round"'
    return f'<symbol id="{name}" viewBox="0 0 24 24" {strokes}>{paths}</symbol>'


def _wrong_sums(manifest: Mapping[str, Any]) -> Iterator[str]:
    for package in manifest["package"]:
        for entry in package["file"]:
            found = hashlib.sha256((ROOT / entry["path"]).read_bytes()).hexdigest()
            if found != entry["sha256"]:
                yield f"{entry['path']} has the sum {found}, expected {entry['sha256']}."


if __name__ == "__main__":
    sys.exit(main())
