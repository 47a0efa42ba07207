"""Takes secrets and bulk out of foreign text before it is stored or shown."""

import re

REMOVED = "[redacted]"

_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"data:[\w.+-]{1,60}/[\w.+-]{1,60};base64,[A-Za-z0-9+/=_-]*"), "[base64 removed]"),
    (re.compile(r"://[^\s/@:]{1,200}:[^\s/@]{1,200}@"), f"://{REMOVED}@"),
    (re.compile(r"\b(bearer|basic)\s+[\w.~+/=*-]{8,}", re.IGNORECASE), rf"\1 {REMOVED}"),
    # OpenAI echoes a wrong key with its middle starred out; what is left of it is redacted all the same.
    (
        re.compile(r"\b(?:sk|rk|pk|sess|xai|gsk|hf|gh[opsu]|github_pat|glpat|xox[abp])[-_][\w*.-]{0,200}[\w*]{6}"),
        REMOVED,
    ),
    (re.compile(r"\b(?:AKIA[0-9A-Z]{16}|AIza[\w-]{30,}|eyJ[\w-]{8,2000}\.[\w-]{8,4000}\.[\w-]{0,2000})"), REMOVED),
    (
        re.compile(r"\b(api[-_]?key|token|secret|password)([\"']?\s*[:=]\s*[\"']?)[^\s\"',;&]{6,}", re.IGNORECASE),
        rf"\1\2{REMOVED}",
    ),
    (re.compile(r"[A-Za-z0-9+/_-]{80,}={0,2}"), "[base64 removed]"),
)


def redacted(text: str, *, limit: int | None = None) -> str:
    """`text` without keys, tokens and long base64, then cut to `limit` bytes of UTF-8.

    The cut comes last: half a key would not be recognised as one.
    """
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    if limit is None:
        return text
    return text.encode(errors="replace")[:limit].decode(errors="ignore")
