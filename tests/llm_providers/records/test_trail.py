import pytest

from llm_providers.records.trail import Trail
from llm_providers.routing.candidates import Plan, Skip, Target
from llm_providers.routing.snapshot import ModelEntry, ProviderEntry
from llm_providers.types import PrivacyLabel


def target(name):
    entry = ProviderEntry(name, "openai_compatible", "http://x/v1", is_local=True, accepts_up_to=PrivacyLabel.PRIVATE)
    return Target(entry, ModelEntry("m", frozenset()))


@pytest.fixture
def trail():
    return Trail(Plan((target("ollama"), Skip("claude", "privacy"), target("localai"), target("engine")), "priority"))


def test_the_order_is_that_of_the_chain_whatever_became_of_whom(trail):
    trail.failed("ollama/m", "refused", ms=3)
    trail.answered("localai/m", ttft_ms=7)

    assert trail.as_json() == [
        {"t": "ollama/m", "failed": "refused", "ms": 3},
        {"t": "claude", "skip": "privacy"},
        {"t": "localai/m", "ok": True, "ttft_ms": 7},
        {"t": "engine/m", "spare": True},
        {"rule": "priority"},
    ]


def test_a_fallback_is_explained_by_those_before_the_one_that_served(trail):
    trail.failed("ollama/m", "refused", ms=3)
    trail.answered("localai/m", ttft_ms=7)

    assert trail.fallback_reason(served_by="localai/m") == "ollama=refused,claude=privacy"


def test_there_is_no_fallback_where_the_first_candidate_served(trail):
    trail.answered("ollama/m", ttft_ms=7)

    assert trail.fallback_reason(served_by="ollama/m") == ""


def test_one_that_broke_off_while_it_served_is_no_fallback(trail):
    trail.failed("ollama/m", "cut", ms=3)

    assert trail.fallback_reason(served_by="ollama/m") == ""


def test_where_nobody_served_all_that_stood_in_the_way_is_told(trail):
    trail.passed_over("ollama/m", "config")
    trail.failed("localai/m", "slow", ms=3)
    trail.cancelled("engine/m")

    assert trail.fallback_reason(served_by="") == "ollama=config,claude=privacy,localai=slow"
    assert trail.reasons == {"ollama/m": "config", "claude": "privacy", "localai/m": "slow"}
