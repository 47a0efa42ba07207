"""Addresses as people write them, brought into the one form that adapters use."""

import ipaddress
from urllib.parse import SplitResult, urlsplit

from llm_providers.declared.known import KnownSystem

_BIND_ADDRESSES = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - read, not listened on
_OWN_SUFFIXES = (".local", ".lan", ".internal", ".home.arpa", ".localhost")


def normalised(address: str, system: KnownSystem) -> str:
    """`0.0.0.0:11434` as `http://127.0.0.1:11434`; with the system's port, and /v1 for those that speak OpenAI's form.

    Raises:
        ValueError: what an address looks like.
    """
    parts = _split(address)
    host = _BIND_ADDRESSES.get(parts.hostname or "", parts.hostname or "")
    port = parts.port or (system.port if parts.scheme == "http" else None)
    netloc = (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
    return f"{parts.scheme}://{netloc}{_path(parts.path.rstrip('/'), system)}"


def is_on_own_network(base_url: str) -> bool:
    """Whether the host is this machine or surely one of the team's: a private address or a name without a domain."""
    host = urlsplit(base_url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith(_OWN_SUFFIXES)


def _split(address: str) -> SplitResult:
    parts = urlsplit(address if "://" in address else f"http://{address}")
    try:
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        is_usable = False
    if not is_usable or parts.query or parts.fragment or parts.username or any(c.isspace() for c in address):
        raise ValueError("an address such as http://127.0.0.1:11434")
    return parts


def _path(path: str, system: KnownSystem) -> str:
    if not system.speaks_openai:
        return path.removesuffix("/v1")
    return path or "/v1"
