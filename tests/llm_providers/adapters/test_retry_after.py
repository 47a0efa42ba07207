"""How long a provider asked us to wait."""

from datetime import UTC, datetime

import pytest

from llm_providers.adapters.retry_after import wait_asked_for

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "86400"}, 3600),
        ({"retry-after": "inf"}, 3600),
        ({"retry-after": "Mon, 23 Nov 2026 10:00:30 GMT"}, 30),
        ({"retry-after": "Mon, 23 Nov 2026 09:00:00 GMT"}, None),
        ({"retry-after": "Tue, 24 Nov 2026 10:00:00 GMT"}, 3600),
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
        ({"retry-after-ms": "-5", "retry-after": "2"}, 2),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s"}, 360),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "12ms"}, 0.012),
        ({"x-ratelimit-remaining-tokens": "90", "x-ratelimit-reset-tokens": "6m0s"}, None),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "-1"}, None),
        (
            {
                "anthropic-ratelimit-input-tokens-remaining": "0",
                "anthropic-ratelimit-input-tokens-reset": "2026-11-23T10:00:20Z",
            },
            20,
        ),
        (
            {
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "2s",
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "1m1.5s",
            },
            61.5,
        ),
        ({"retry-after": "1", "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "9s"}, 1),
    ],
)
def test_it_reads_every_form_of_waiting(headers: dict[str, str], wait_s: float | None) -> None:
    assert wait_asked_for(headers, now=NOW) == (None if wait_s is None else pytest.approx(wait_s))
