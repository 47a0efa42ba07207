from architect.supervisor.restarts import Restarts


def test_it_doubles_the_pause_with_each_end_up_to_half_a_minute():
    restarts = Restarts()

    pauses = [restarts.pause_s(ran_s=1) for _ in range(9)]

    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_it_begins_anew_after_a_minute_that_went_well():
    restarts = Restarts(ends_in_a_row=5)

    assert restarts.pause_s(ran_s=59.9) == 16
    assert restarts.pause_s(ran_s=60) == 0.5
    assert restarts.pause_s(ran_s=1) == 1


def test_it_counts_thousands_of_ends():
    restarts = Restarts(ends_in_a_row=100_000)

    assert restarts.pause_s(ran_s=0) == 30
