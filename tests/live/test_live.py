import threading

import pytest
from django.core import signing
from django.db import transaction

from architect.live.models import Topic
from architect.live.services import touch
from architect.live.topics import topics_of, watched
from architect.live.watcher import Watcher

pytestmark = pytest.mark.django_db(transaction=True)


class Ear:
    """Remembers what it heard and lets a test wait for it."""

    def __init__(self):
        self.heard = []
        self._something = threading.Event()

    def __call__(self, topic):
        self.heard.append(topic)
        self._something.set()

    def wait(self):
        assert self._something.wait(5), "nothing was heard for 5 s"
        self._something.clear()


@pytest.fixture
def watcher():
    made = Watcher()
    yield made
    made.close()


@pytest.fixture
def ear(watcher):
    """It listens to topic `a` and has heard the first look, which counts as a change."""
    made = Ear()
    watcher.listen(frozenset({"a"}), made)
    made.wait()
    made.heard.clear()
    return made


def test_touching_raises_the_number():
    touch("a")
    touch("a")

    assert Topic.objects.get(name="a").number == 2


def test_a_change_is_heard(ear):
    touch("a")

    ear.wait()
    assert ear.heard == ["a"]


def test_a_listener_that_fails_costs_nobody_else_the_news(watcher, ear, caplog):
    def fail(_topic):
        raise RuntimeError("a socket that is gone")

    for _ in range(3):  # one of them comes before the other one, whatever the order
        watcher.listen(frozenset({"a"}), fail)
    touch("a")

    ear.wait()
    ear.heard.clear()
    touch("a")  # they are told in turn, so by the next change all have heard of this one
    ear.wait()
    assert "A listener failed" in caplog.text


def test_a_change_of_another_topic_is_not_heard(ear, watcher):
    other = Ear()
    watcher.listen(frozenset({"b"}), other)
    other.wait()

    touch("b")

    other.wait()
    assert ear.heard == []


def test_a_change_that_is_rolled_back_is_not_heard(ear):
    with pytest.raises(ValueError, match="undone"), transaction.atomic():
        touch("a")
        raise ValueError("undone")

    touch("a")
    ear.wait()
    assert Topic.objects.get(name="a").number == 1


def test_who_stops_listening_hears_no_more(watcher, ear):
    second = Ear()
    stop = watcher.listen(frozenset({"a"}), second)

    stop()
    touch("a")
    ear.wait()

    assert second.heard == []


def test_a_new_listener_looks_at_once_because_it_may_have_missed_a_change(watcher):
    touch("fresh")
    ear = Ear()

    watcher.listen(frozenset({"fresh"}), ear)

    ear.wait()
    assert ear.heard == ["fresh"]


def test_signed_topics_are_for_one_person():
    signed = watched("a", "b", user_id=1).signed

    assert topics_of(signed, user_id=1) == {"a", "b"}
    with pytest.raises(signing.BadSignature):
        topics_of(signed, user_id=2)
    with pytest.raises(signing.BadSignature):
        topics_of(signed[:-2] + "xx", user_id=1)
