"""The decision trail of a request in sentences that a person reads."""

from collections.abc import Iterable, Mapping
from typing import Any

from architect.lib.figures import duration
from llm_providers.errors import Event

_REASONS = {
    "refused": "the connection was refused",
    "connect_timeout": "no connection could be made in time",
    "slow": "no first word came in time",
    "cold": "the model was still loading",
    "stall": "the answer stopped coming",
    "cut": "the answer was cut off",
    "malformed": "the answer could not be read",
    "empty": "the answer was empty",
    "server_error": "the server reported an error",
    "overloaded": "the server was overloaded",
    "busy": "the server was busy",
    "rate_limited": "its rate limit was reached",
    "breaker_open": "it failed lately and is left alone for a while",
    "quota": "its quota is used up",
    "config": "it is not set up: its address or its key is missing or wrong",
    "model_missing": "it offers no such model",
    "capability": "the model cannot do what was asked",
    "context_length": "the text is too long for the model",
    "privacy": "it may not have texts with this label",
    "disabled": "it is switched off",
    "test_model": "its words are random, and real models have been seen",
    "deadline": "the time that the caller allowed was over",
    "bad_request": "it refused the request",
}


def trail_sentences(trail: Iterable[Mapping[str, Any]]) -> list[str]:
    """One sentence per candidate, in order, then the rule of the order."""
    return [_sentence(entry) for entry in trail]


def reason_in_words(reason: str) -> str:
    return _REASONS.get(reason, reason.replace("_", " "))


def fallback_in_words(reasons: str) -> str:
    """A request's fallback reason, `ollama=breaker_open,localai=cut`, as a short list of who and why."""
    pairs = (pair.partition("=") for pair in reasons.split(",") if pair)
    return "; ".join(f"{name}: {reason_in_words(reason)}" for name, _sign, reason in pairs)


def event_in_words(label: str) -> str:
    """An event of an attempt or of a breaker by its name on record."""
    return next((reason_in_words(event.reason) for event in Event if event.label == label), reason_in_words(label))


def _sentence(entry: Mapping[str, Any]) -> str:
    if "rule" in entry:
        return f"Decided by {entry['rule']}."
    target, again = entry["t"], _again(entry)
    if "skip" in entry:
        return f"{target} was passed over: {reason_in_words(entry['skip'])}."
    if "failed" in entry:
        after = f" after {duration(entry['ms'])}" if entry.get("ms") is not None else ""
        return f"{target} failed{again}{after}: {reason_in_words(entry['failed'])}."
    if "ok" in entry:
        return f"{target} answered{again}; its first word came after {duration(entry.get('ttft_ms'))}."
    if "cancelled" in entry:
        return f"{target} was stopped{again}."
    return f"{target} was not needed."


def _again(entry: Mapping[str, Any]) -> str:
    if entry.get("tries", 1) < 2:
        return ""
    return f" at try {entry['tries']} (before that {reason_in_words(entry['before'])})"
