import numpy as np

from exporter.assess.since import Since

LIVES = np.array([1, 2])


def test_a_score_is_high_since_its_first_cycle_short_rests_aside() -> None:
    since = Since()
    for at, high in ((1000.0, [True, False]), (1015.0, [False, False]), (1200.0, [True, True])):
        found = since.observe(LIVES, np.array(high), at)
    assert found.tolist() == [1000.0, 1200.0]


def test_after_a_long_rest_it_is_newly_high() -> None:
    since = Since()
    since.observe(LIVES, np.array([True, True]), 1000.0)
    assert since.observe(LIVES, np.array([True, False]), 1400.0).tolist() == [1400.0, 1000.0]


def test_it_survives_a_restart_and_a_life_that_changes_rows() -> None:
    since, again = Since(), Since()
    since.observe(LIVES, np.array([True, True]), 1000.0)
    again.restore({name: array.copy() for name, array in since.export().items()})
    assert again.observe(np.array([3, 2]), np.array([True, True]), 1015.0).tolist() == [1015.0, 1000.0]
