import uuid
from datetime import UTC, datetime, timedelta

import time_machine

from architect.lib.ids import ulid, uuid7


def test_a_ulid_has_26_characters_of_crockfords_alphabet():
    made = ulid()

    assert len(made) == 26
    assert set(made) <= set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")


def test_ids_sort_by_the_time_they_were_made():
    with time_machine.travel(datetime(2026, 11, 23, tzinfo=UTC), tick=False) as clock:
        earlier = (ulid(), uuid7())
        clock.shift(timedelta(milliseconds=1))
        later = (ulid(), uuid7())

    assert earlier[0] < later[0]
    assert earlier[1] < later[1]


def test_a_uuid7_says_that_it_is_one():
    made = uuid7()

    assert made.version == 7
    assert made.variant == uuid.RFC_4122


def test_a_thousand_ids_of_one_moment_differ():
    assert len({ulid() for _ in range(1000)}) == 1000
