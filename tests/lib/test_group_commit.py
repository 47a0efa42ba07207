import asyncio
import threading

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction

from architect.lib.group_commit import GroupCommit
from architect.live.models import Topic

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def writes():
    made = GroupCommit()
    yield made
    made.close()


async def test_it_hands_out_the_result_after_the_commit(writes):
    topic = await writes.commit(lambda: Topic.objects.create(name="a"))

    assert topic.name == "a"
    assert await Topic.objects.acount() == 1


async def test_sixty_four_concurrent_writes_share_at_most_eight_commits(writes):
    await writes.commit(lambda: None)
    before = writes.commits

    await asyncio.gather(*(writes.commit(lambda n=n: Topic.objects.create(name=f"t{n}")) for n in range(64)))

    assert writes.commits - before <= 8
    assert await Topic.objects.acount() == 64


def test_one_that_fails_takes_nobody_with_it(writes):
    Topic.objects.create(name="taken")
    hold = threading.Event()
    writes.submit(hold.wait)  # so that the next three meet in one batch

    good, bad, late = (writes.submit(lambda n=n: Topic.objects.create(name=n)) for n in ("good", "taken", "late"))
    hold.set()

    assert good.result(5).name == "good"
    assert late.result(5).name == "late"
    with pytest.raises(IntegrityError):
        bad.result(5)
    assert set(Topic.objects.values_list("name", flat=True)) == {"taken", "good", "late"}


def test_what_fails_half_way_leaves_nothing(writes):
    def half():
        Topic.objects.create(name="half")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        writes.submit(half).result(5)
    assert not Topic.objects.exists()


def test_it_keeps_the_order_of_submission(writes):
    seen = []

    for n in range(50):
        last = writes.submit(lambda n=n: seen.append(n))
    last.result(5)

    assert seen == sorted(seen)


def test_it_goes_on_after_the_database_was_away(writes):
    def away():
        connection.close()
        raise OperationalError("server closed the connection unexpectedly")

    with pytest.raises(OperationalError):
        writes.submit(away).result(5)

    assert writes.submit(lambda: Topic.objects.create(name="back")).result(5).name == "back"


async def test_a_cancelled_caller_does_not_cancel_the_write(writes):
    hold = threading.Event()
    writes.submit(hold.wait)
    waiting = asyncio.create_task(writes.commit(lambda: Topic.objects.create(name="kept")))
    await asyncio.sleep(0)

    waiting.cancel()
    hold.set()
    await asyncio.wrap_future(writes.submit(lambda: None))

    assert await Topic.objects.filter(name="kept").aexists()


def test_closing_writes_out_what_waits():
    made = GroupCommit()
    hold = threading.Event()
    made.submit(hold.wait)
    made.submit(lambda: Topic.objects.create(name="last"))

    hold.set()
    made.close()

    assert Topic.objects.filter(name="last").exists()


def test_what_is_submitted_while_it_closes_is_written_too(writes):
    closing = threading.Event()

    def close_again_and_again():
        while not closing.is_set():
            writes.close()

    closer = threading.Thread(target=close_again_and_again)
    closer.start()
    outcomes = [writes.submit(lambda n=n: Topic.objects.create(name=f"t{n}")) for n in range(200)]
    named = {outcome.result(timeout=20).name for outcome in outcomes}
    closing.set()
    closer.join(20)

    assert len(named) == 200
    assert not closer.is_alive()


def test_each_batch_is_one_transaction(writes):
    inside = writes.submit(lambda: transaction.get_connection().in_atomic_block).result(5)

    assert inside
