"""Who is asked next, and who is asked again, with the clock passed in."""

import pytest

from llm_providers.errors import Event, ProviderFailure
from llm_providers.routing.candidates import Plan, Target
from llm_providers.routing.progress import Progress
from llm_providers.routing.snapshot import ModelEntry, ProviderEntry
from llm_providers.types import Capability, PrivacyLabel

DEADLINE = 100.0
ASKED_AGAIN = [
    Event.SERVER_ERROR,
    Event.CONFLICT,
    Event.UNAVAILABLE,
    Event.OVERLOADED,
    Event.REQUEST_TIMEOUT,
    Event.CUT,
    Event.STALL,
    Event.MALFORMED,
    Event.ERROR_FRAME,
    Event.UNCLASSIFIED,
]


def target(name):
    provider = ProviderEntry(name, "openai_compatible", "http://x/v1", False, PrivacyLabel.INTERNAL)
    return Target(provider, ModelEntry("m", frozenset({Capability.CHAT})))


def progress_of(*names, max_retries=2):
    return Progress(Plan(tuple(map(target, names)), "rule"), max_retries=max_retries, deadline=DEADLINE)


def all_fail(progress, *failures, at=0.0, jitter=1.0):
    """(name, seconds waited) of each turn, each failing with the next of `failures` or the last."""
    turns = []
    while (turn := progress.next_turn(at=at)) is not None:
        failure = failures[min(len(turns), len(failures) - 1)]
        turns.append((turn.target.provider.name, turn.wait_s))
        at += turn.wait_s
        progress.failed(turn.target, failure, at=at, jitter=jitter)
    return turns


def failure(event, **fields):
    return ProviderFailure(event, "detail", **fields)


def test_everybody_is_asked_once_before_anybody_is_asked_twice():
    turns = all_fail(progress_of("a", "b", "c"), failure(Event.SERVER_ERROR))

    assert turns == [("a", 0), ("b", 0), ("c", 0), ("a", 0.5), ("b", 0)]


def test_the_wait_doubles_with_each_failure_of_the_same_and_stays_below_eight_seconds():
    turns = all_fail(progress_of("a", max_retries=7), failure(Event.SERVER_ERROR))

    assert [wait for _, wait in turns] == [0, 0.5, 1, 2, 4, 8, 8, 8]


def test_the_wait_is_drawn_from_the_whole_span():
    assert all_fail(progress_of("a", max_retries=1), failure(Event.SERVER_ERROR), jitter=0.1) == [("a", 0), ("a", 0.05)]


def test_without_retries_nobody_is_asked_twice():
    assert len(all_fail(progress_of("a", "b", max_retries=0), failure(Event.LOADING))) == 2


@pytest.mark.parametrize("event", set(Event) - {Event.LOADING}, ids=lambda event: event.label)
def test_only_what_may_pass_by_itself_is_tried_again(event):
    turns = all_fail(progress_of("a", "b", max_retries=1), failure(event), failure(event), failure(Event.REFUSED))

    assert len(turns) == (3 if event in ASKED_AGAIN else 2)


def test_a_stated_wait_is_kept():
    turns = all_fail(progress_of("a", max_retries=1), failure(Event.UNAVAILABLE, retry_after_s=7.0))

    assert turns == [("a", 0), ("a", 7.0)]


def test_who_is_back_first_is_asked_first():
    turns = all_fail(
        progress_of("a", "b"),
        failure(Event.UNAVAILABLE, retry_after_s=7.0),
        failure(Event.UNAVAILABLE, retry_after_s=3.0),
        failure(Event.REFUSED),
    )

    assert turns == [("a", 0), ("b", 0), ("b", 3.0), ("a", 4.0)]


def test_what_would_come_back_after_the_deadline_is_not_waited_for():
    assert len(all_fail(progress_of("a"), failure(Event.UNAVAILABLE, retry_after_s=DEADLINE))) == 1


def test_a_rate_limit_is_waited_for_only_where_there_is_nobody_else():
    limited = failure(Event.RATE_LIMITED, retry_after_s=3.0)

    assert all_fail(progress_of("a", max_retries=1), limited) == [("a", 0), ("a", 3.25)]
    assert all_fail(progress_of("a", "b", max_retries=1), limited) == [("a", 0), ("b", 0)]


def test_waiting_for_a_model_that_is_loading_is_no_retry():
    loading = [failure(Event.LOADING)] * 6

    turns = all_fail(progress_of("a", max_retries=1), *loading, failure(Event.SERVER_ERROR))

    assert [wait for _, wait in turns] == [0, 0.5, 1, 2, 4, 8, 8, 8]


def test_the_best_of_those_that_were_left_alone_is_tried_once():
    progress = progress_of("a", "b")
    for _ in range(2):
        turn = progress.next_turn(at=0.0)
        progress.passed_over(turn.target, by_breaker=True)

    forced = progress.next_turn(at=0.0)
    progress.passed_over(forced.target, by_breaker=True)

    assert (forced.target.provider.name, forced.is_forced) == ("a", True)
    assert progress.next_turn(at=0.0) is None


def test_a_retry_that_was_passed_over_does_not_count():
    progress = progress_of("a", "b", max_retries=1)
    for _ in range(2):
        turn = progress.next_turn(at=0.0)
        progress.failed(turn.target, failure(Event.SERVER_ERROR), at=0.0, jitter=0.0)
    left_alone = progress.next_turn(at=0.0)
    progress.passed_over(left_alone.target, by_breaker=True)

    asked = progress.next_turn(at=0.0)

    assert [left_alone.target.provider.name, asked.target.provider.name] == ["a", "b"]
