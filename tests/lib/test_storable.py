import pytest

from architect.lib.storable import storable


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("Grüße 🦙", "Grüße 🦙"),
        ("a\0b", "ab"),
        ("half \ud83e", "half ?"),
        ({"k\0": ["\0", ("\udc00", 7, None)]}, {"k": ["", ("?", 7, None)]}),
    ],
)
def test_every_text_becomes_one_that_a_database_takes(given, stored):
    assert storable(given) == stored
