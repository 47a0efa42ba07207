"""The Celery application: it carries wake-ups, the rows of `architect.jobs` hold the truth."""

import logging
import os
import warnings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "architect.settings")

from celery import Celery
from celery.platforms import SecurityWarning
from celery.signals import beat_embedded_init, beat_init, setup_logging
from django.conf import settings

from architect.jobs.registry import periodic_jobs
from architect.lib.end_with_parent import end_with_parent

# It warns of running as root because a message may be pickled code; ours are JSON, and containers often run as root.
warnings.filterwarnings("ignore", category=SecurityWarning)

app = Celery("architect")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(related_name="jobs")


def make_broker_folders() -> None:
    """The file-backed transport makes none itself, neither where messages are sent nor where they are fetched."""
    if settings.CELERY_BROKER_URL.startswith("filesystem"):
        (settings.BROKER_DIR / "control").mkdir(parents=True, exist_ok=True)


make_broker_folders()


def beat_schedule() -> dict[str, dict[str, object]]:
    """One entry per periodic job; what is not fetched within its own interval is dropped, the next one is as good."""
    return {
        periodic.name: {
            "task": "architect.jobs.run_periodic",
            "schedule": periodic.every_s,
            "args": (periodic.name,),
            "options": {"queue": periodic.queue, "expires": max(periodic.every_s, 5)},
        }
        for periodic in periodic_jobs()
    }


@beat_init.connect  # type: ignore[untyped-decorator]  # celery ships no types
def fill_beat_schedule(sender: object, **_: object) -> None:
    """Only now every room has registered its periodic jobs."""
    sender.scheduler.update_from_dict(beat_schedule())  # type: ignore[attr-defined]  # a celery.beat.Service


@beat_embedded_init.connect  # type: ignore[untyped-decorator]
def leave_with_the_worker(**_: object) -> None:
    """The beat is a process of the worker's own, which would go on alone after a `kill -9` of the worker."""
    end_with_parent()


@setup_logging.connect  # type: ignore[untyped-decorator]
def keep_the_logging_of_django(**_: object) -> None:
    """Having a receiver is what keeps Celery from its own set-up; a line per wake-up would hide everything else."""
    if settings.LOG_LEVEL != "DEBUG":
        logging.getLogger("celery").setLevel(logging.WARNING)
