"""Says that something changed, inside the transaction of the change."""

from django.db import IntegrityError, transaction
from django.db.models import F

from architect.live.models import Topic
from architect.live.watcher import watcher


def touch(topic: str) -> None:
    """Raises the number of `topic`; whoever watches it is told once the transaction has committed."""
    if not _raise_number(topic):
        try:
            with transaction.atomic():
                Topic.objects.create(name=topic)
        except IntegrityError:  # another process made the row in between
            _raise_number(topic)
    transaction.on_commit(watcher().wake)


def _raise_number(topic: str) -> bool:
    return Topic.objects.filter(name=topic).update(number=F("number") + 1) > 0
