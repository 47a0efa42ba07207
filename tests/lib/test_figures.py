import pytest

from architect.lib.figures import duration, rate, token_count
from llm_providers.words import trail_sentences


@pytest.mark.parametrize(
    ("milliseconds", "said"),
    [(None, "–"), (0, "0 ms"), (412, "412 ms"), (3200, "3.2 s"), (99_900, "99.9 s"), (240_000, "4 min")],
)
def test_durations_have_the_unit_that_fits(milliseconds, said):
    assert duration(milliseconds) == said


@pytest.mark.parametrize(
    ("tokens", "source", "said"),
    [(18, "reported", "18"), (18, "estimated", "≈ 18"), (12_000, "reported", "12,000"), (None, "unknown", "unknown")],
)
def test_tokens_say_where_they_come_from_and_unknown_is_never_nought(tokens, source, said):
    assert token_count(tokens, source=source) == said


@pytest.mark.parametrize(("per_second", "said"), [(None, "–"), (0.44, "0.4"), (96.4, "96"), (1414.2, "1,414")])
def test_rates_are_as_precise_as_they_are_useful(per_second, said):
    assert rate(per_second) == said


def test_a_trail_is_told_in_sentences():
    trail = [
        {"t": "claude", "skip": "privacy"},
        {"t": "ollama/llama3.2", "failed": "refused", "ms": 12},
        {"t": "localai/llama3", "ok": True, "ttft_ms": 640},
        {"t": "engine/tiny", "spare": True},
        {"rule": "label private; order: priority"},
    ]

    assert trail_sentences(trail) == [
        "claude was passed over: it may not have texts with this label.",
        "ollama/llama3.2 failed after 12 ms: the connection was refused.",
        "localai/llama3 answered; its first word came after 640 ms.",
        "engine/tiny was not needed.",
        "Decided by label private; order: priority.",
    ]
