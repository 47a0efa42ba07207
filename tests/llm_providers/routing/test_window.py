from llm_providers.routing.window import CallWindow


def window_of(outcomes, *, every_s=1.0):
    """A window of calls, one `every_s`; x has failed."""
    window = CallWindow()
    for number, outcome in enumerate(outcomes):
        window.add(has_failed=outcome == "x", at=number * every_s)
    return window


def test_half_of_ten_calls_are_too_many():
    assert window_of("x.x.x.x.x.").is_mostly_failing(at=10, timeout_s=2)
    assert not window_of("x.x.x.x...").is_mostly_failing(at=10, timeout_s=2)


def test_fewer_than_ten_calls_say_nothing():
    assert not window_of("xxxxxxxxx").is_mostly_failing(at=9, timeout_s=2)


def test_what_is_long_ago_says_nothing():
    assert not window_of("xxxxxxxxxx").is_mostly_failing(at=75, timeout_s=2)


def test_the_span_covers_three_time_outs():
    slow = window_of("xxxxxxxxxx", every_s=30)

    assert slow.is_mostly_failing(at=300, timeout_s=100)
    assert not slow.is_mostly_failing(at=300, timeout_s=60)
