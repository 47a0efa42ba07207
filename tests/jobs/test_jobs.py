from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import transaction

from architect.jobs import registry, services
from architect.jobs.models import LEASE, Job, JobState
from architect.jobs.registry import job

pytestmark = pytest.mark.django_db(transaction=True)
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Flaky(Exception):
    pass


@pytest.fixture
def did():
    return []


@pytest.fixture
def kind(did):
    """A kind of job that notes its arguments, and fails when told to."""

    @job(queue="quick", retry_on=(Flaky,), max_attempts=3)
    def note(*, what, fail=""):
        did.append(what)
        if fail == "flaky":
            raise Flaky("try again")
        if fail:
            raise RuntimeError(fail)

    yield note
    del registry._kinds[note.name]


@pytest.fixture
def clock():
    with time_machine.travel(NOON, tick=False) as travelling:
        yield travelling


def test_a_job_is_done_once_however_often_it_is_woken(kind, did):
    queued = services.enqueue(kind, what="x")

    services.run(queued.pk)
    services.run(queued.pk)

    queued.refresh_from_db()
    assert did == ["x"]
    assert queued.state == JobState.DONE


def test_a_job_of_a_transaction_that_is_rolled_back_never_was(kind):
    with pytest.raises(ValueError, match="undone"), transaction.atomic():
        services.enqueue(kind, what="x")
        raise ValueError("undone")

    assert not Job.objects.exists()


def test_a_failure_that_may_pass_is_tried_again_later(kind, did, clock):
    queued = services.enqueue(kind, what="x", fail="flaky")

    services.run(queued.pk)
    services.run(queued.pk)  # too early
    queued.refresh_from_db()
    first = (queued.state, queued.run_at - NOON, len(did))
    for _ in range(3):
        clock.shift(timedelta(minutes=1))
        services.run(queued.pk)
    queued.refresh_from_db()

    assert first == (JobState.QUEUED, timedelta(seconds=2), 1)
    assert (queued.state, queued.attempts, queued.error_text) == (JobState.FAILED, 3, "try again")


def test_a_failure_of_ours_is_final_and_keeps_its_traceback(kind, did):
    queued = services.enqueue(kind, what="x", fail="a bug")

    services.run(queued.pk)

    queued.refresh_from_db()
    assert queued.state == JobState.FAILED
    assert "RuntimeError: a bug" in queued.error_text


def test_what_a_killed_worker_held_is_given_back(kind, did, clock):
    queued = services.enqueue(kind, what="x")
    Job.objects.claim(queued.pk, token=queued.pk, at=NOON)

    services.sweep()
    services.run(queued.pk)
    held = list(did)
    clock.shift(LEASE + timedelta(seconds=1))
    services.sweep()
    services.run(queued.pk)

    queued.refresh_from_db()
    assert held == []
    assert did == ["x"]
    assert (queued.state, queued.attempts) == (JobState.DONE, 2)


def test_a_job_that_kills_its_workers_is_given_up(kind, clock):
    queued = services.enqueue(kind, what="x")

    for _ in range(3):
        Job.objects.claim(queued.pk, token=queued.pk, at=services.now())
        clock.shift(LEASE + timedelta(seconds=1))
        services.sweep()

    queued.refresh_from_db()
    assert queued.state == JobState.FAILED
    assert queued.error_text == "Its worker died 3 times."


def test_a_job_whose_wake_up_was_lost_is_woken_again(kind, clock):
    queued = services.enqueue(kind, what="x")
    woken_at = Job.objects.get(pk=queued.pk).woken_at

    clock.shift(timedelta(seconds=5))
    services.sweep()
    too_early = Job.objects.get(pk=queued.pk).woken_at
    clock.shift(timedelta(seconds=6))
    services.sweep()

    assert too_early == woken_at
    assert Job.objects.get(pk=queued.pk).woken_at == NOON + timedelta(seconds=11)


def test_an_unknown_kind_fails_with_its_name():
    queued = Job.objects.create(kind="no.such.job", queue="quick")

    services.run(queued.pk)

    queued.refresh_from_db()
    assert queued.state == JobState.FAILED
    assert "no.such.job" in queued.error_text
