"""Numbers as people read them: units that fit, "–" where nothing is known, "≈" where something is estimated."""

UNKNOWN = "–"


def duration(milliseconds: float | None) -> str:
    """`412 ms`, `3.2 s`, `4 min`."""
    if milliseconds is None:
        return UNKNOWN
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms"
    seconds = milliseconds / 1000
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def token_count(tokens: int | None, *, source: str) -> str:
    """`18`, or `≈ 18` when it is our estimate."""
    if tokens is None:
        return "unknown"
    return f"≈ {tokens:,}" if source == "estimated" else f"{tokens:,}"


def rate(per_second: float | None) -> str:
    if per_second is None:
        return UNKNOWN
    return f"{per_second:.1f}" if per_second < 10 else f"{per_second:,.0f}"
