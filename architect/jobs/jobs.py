"""The only Celery tasks of the product: each is a wake-up for something the database or the registry knows."""

import uuid

from celery import shared_task

from architect.jobs import services
from architect.jobs.registry import periodic, periodic_named


@shared_task(name="architect.jobs.run")  # type: ignore[untyped-decorator]  # celery ships no types
def run(job_id: str) -> None:
    services.run(uuid.UUID(job_id))


@shared_task(name="architect.jobs.run_periodic", expires=30)  # type: ignore[untyped-decorator]
def run_periodic(name: str) -> None:
    periodic_named(name).run()


@periodic(every_s=5)
def sweep_jobs() -> None:
    services.sweep()
