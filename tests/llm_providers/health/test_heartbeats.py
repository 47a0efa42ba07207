from datetime import UTC, datetime, timedelta

import pytest

from llm_providers.health.discovery import discover
from llm_providers.health.heartbeats import Beat, count, forget_old
from llm_providers.models import ProbeRollup, Provider
from tests.fakes.behaviour import Fault
from tests.fakes.openai import FakeOpenAI

pytestmark = pytest.mark.django_db(transaction=True)
AT = datetime(2026, 11, 24, 10, 20, 30, tzinfo=UTC)


@pytest.fixture
def provider():
    return Provider.objects.create(name="localai", kind="openai_compatible", base_url="http://x/v1", is_local=True)


def rows(bucket):
    found = ProbeRollup.objects.filter(bucket=bucket)
    return [(f"{row.starts_at:%d %H:%M}", row.up, row.slow, row.down) for row in found]


def test_calls_are_counted_by_minute_hour_and_day(provider):
    for seconds, beat in ((0, Beat.UP), (10, Beat.DOWN), (60, Beat.SLOW), (3600, Beat.UP)):
        count(provider, beat, at=AT + timedelta(seconds=seconds))

    assert rows("minute") == [("24 10:20", 1, 0, 1), ("24 10:21", 0, 1, 0), ("24 11:20", 1, 0, 0)]
    assert rows("hour") == [("24 10:00", 1, 1, 1), ("24 11:00", 1, 0, 0)]
    assert rows("day") == [("24 00:00", 2, 1, 1)]


def test_what_is_old_goes_and_days_stay(provider):
    count(provider, Beat.UP, at=AT)

    forget_old(at=AT + timedelta(days=3))
    assert (rows("minute"), len(rows("hour")), len(rows("day"))) == ([], 1, 1)

    forget_old(at=AT + timedelta(days=100))
    assert (rows("hour"), len(rows("day"))) == ([], 1)


def test_discovery_counts_what_it_found():
    with FakeOpenAI() as fake:
        provider = Provider.objects.create(name="a", kind="openai_compatible", base_url=fake.base_url, is_local=True)
        discover(provider)
        fake.fault = Fault.SERVER_ERROR
        discover(provider)

    assert [row[1:] for row in rows("day")] == [(1, 0, 1)]
