"""Puts background work on record, and does it under a lease."""

import logging
import threading
import traceback
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import celery
from django.db import Error as DatabaseFailure
from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils.timezone import now
from kombu.exceptions import OperationalError

from architect.jobs.models import LEASE, Job, JobState
from architect.jobs.registry import JobKind, kind_named

logger = logging.getLogger(__name__)
_LONGEST_PAUSE = timedelta(minutes=5)


def enqueue(kind: JobKind, **arguments: Any) -> Job:
    """A job of this kind, in the caller's transaction; it is woken once that has committed."""
    made = Job.objects.create(kind=kind.name, queue=kind.queue, arguments=arguments)
    transaction.on_commit(lambda: wake(made))
    return made


def wake(waiting: Job) -> None:
    """Tells a worker about the job. If that fails the sweeper tries again, so nothing is lost."""
    Job.objects.filter(pk=waiting.pk).update(woken_at=now())
    try:
        celery.current_app.send_task("architect.jobs.run", args=(str(waiting.pk),), queue=waiting.queue)
    except (OperationalError, OSError, ValueError) as failure:  # a ValueError: a half-written file of the broker
        logger.warning("Job %s waits for the sweeper, the broker did not take it: %s", waiting.pk, failure)


def run(job_id: uuid.UUID) -> None:
    """Does the job if it is still to be done and nobody else does it."""
    token = uuid.uuid4()
    if not Job.objects.claim(job_id, token=token, at=now()):
        return
    claimed = Job.objects.get(pk=job_id)
    kind = kind_named(claimed.kind)
    if kind is None:
        _finish(token, error=f"This version of the program knows no job {claimed.kind!r}.")
        return
    try:
        with _renewed_lease(token):
            kind.run(**claimed.arguments)
    except kind.retry_on as failure:
        _retry_later(claimed, kind=kind, token=token, error=str(failure))
    except Exception:
        logger.exception("Job %s failed", claimed)
        _finish(token, error=traceback.format_exc(limit=-5))
    else:
        _finish(token, error="")


def sweep() -> None:
    """Gives back what a killed worker held, and wakes what was not woken or is due now."""
    frozen_now = now()
    for lost in Job.objects.abandoned(at=frozen_now):
        kind = kind_named(lost.kind)
        if kind is None or lost.attempts >= kind.max_attempts:
            # Not by its token alone: the worker may have come back and renewed its lease meanwhile.
            _end(
                Job.objects.abandoned(at=frozen_now).filter(pk=lost.pk), error=f"Its worker died {lost.attempts} times."
            )
            continue
        Job.objects.abandoned(at=frozen_now).filter(pk=lost.pk).update(
            state=JobState.QUEUED, lease_token=None, lease_until=None, woken_at=None
        )
    for waiting in Job.objects.unwoken(at=now()).order_by("run_at")[:500]:
        wake(waiting)


def _retry_later(failed: Job, *, kind: JobKind, token: uuid.UUID, error: str) -> None:
    if failed.attempts >= kind.max_attempts:
        _finish(token, error=error)
        return
    pause = min(timedelta(seconds=2.0**failed.attempts), _LONGEST_PAUSE)
    Job.objects.held_by(token).update(
        state=JobState.QUEUED, run_at=now() + pause, woken_at=None, lease_token=None, lease_until=None, error_text=error
    )


def _finish(token: uuid.UUID, *, error: str) -> None:
    _end(Job.objects.held_by(token), error=error)


def _end(ended: QuerySet[Job], *, error: str) -> None:
    state = JobState.FAILED if error else JobState.DONE
    ended.update(state=state, finished_at=now(), error_text=error, lease_token=None, lease_until=None)


def _renew(token: uuid.UUID) -> None:
    try:
        Job.objects.held_by(token).update(lease_until=now() + LEASE)
    except DatabaseFailure as failure:
        logger.warning("A lease is renewed a little later, the database is busy: %s", failure)
        connection.close()


@contextmanager
def _renewed_lease(token: uuid.UUID) -> Iterator[None]:
    """Keeps the lease alive from a thread of its own, however long the work takes."""
    done = threading.Event()

    def renew() -> None:
        try:
            while not done.wait(LEASE.total_seconds() / 3):
                _renew(token)
        finally:
            connection.close()

    renewer = threading.Thread(target=renew, name="job-lease", daemon=True)
    renewer.start()
    try:
        yield
    finally:
        done.set()
        renewer.join()
