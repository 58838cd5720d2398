import numpy as np
import pytest

from exporter.assess.anomaly import ratio
from exporter.assess.rhythm import Rhythms
from exporter.persist.arrays import MismatchError

STEP, DAY = 600.0, 86_400.0
ONE = np.zeros(1, dtype=np.int64)


def _values(days: float, seed: int = 0) -> np.ndarray:
    """A busy afternoon each day; the second metric follows the first, the third is noise."""
    noise = np.random.default_rng(seed)
    at = np.arange(int(days * DAY / STEP)) * STEP
    load = 10 + 5 * np.sin(2 * np.pi * at / DAY) + noise.normal(0, 0.5, at.size)
    return np.column_stack([load, 3 * load + noise.normal(0, 0.3, at.size), noise.normal(50, 2, at.size)])


def _taught(days: float = 10.0, learn: float = 10 * DAY) -> tuple[Rhythms, float]:
    rhythms, values = Rhythms(np.full(3, 0.1), learn), _values(days)
    for index, row in enumerate(values):
        rhythms.observe(ONE, ONE, row[None], index * STEP, STEP)
    return rhythms, len(values) * STEP


def _rates(rhythms: Rhythms, start: float, values: np.ndarray) -> np.ndarray:
    return np.array(
        [rhythms.observe(ONE, ONE, row[None], start + at * STEP, STEP).rate[0] for at, row in enumerate(values)]
    )


def test_a_further_usual_month_keeps_the_promised_rate() -> None:
    rhythms, end = _taught()
    assert (_rates(rhythms, end, _values(30, seed=1)) < 1).sum() <= 3


def test_metrics_that_stop_moving_together_are_strange_though_each_is_in_its_range() -> None:
    rhythms, end = _taught()
    usual = _values(0.25, seed=2)
    apart = usual.copy()
    apart[:, 1] = 60 - apart[:, 1]
    assert apart.max() <= _values(10).max() + 5
    assert _rates(rhythms, end, apart[-12:]).min() < 1


def test_a_level_usual_at_another_time_of_day_is_strange_now() -> None:
    midday = _values(1.0, seed=3)[36:40]
    right, end = _taught()
    assert _rates(right, end + 36 * STEP, midday).min() > 1
    wrong, end = _taught()
    assert _rates(wrong, end + 108 * STEP, midday).min() < 1


def test_an_attack_of_a_day_is_not_learned_and_a_new_level_is_in_time() -> None:
    rhythms, end = _taught()
    attack = _values(1.0, seed=4)
    attack[:, 2] += 100
    assert _rates(rhythms, end, attack)[-1] < 1
    usual = rhythms.observe(ONE, ONE, attack[:1], end + DAY, STEP).usual[0, 2]
    assert usual < 55


def test_what_is_not_seen_is_not_strange() -> None:
    rhythms, end = _taught(3.0)
    gone = np.full((12, 3), np.nan)
    gone[:, 0] = _values(1.0, seed=5)[:12, 0]
    assert _rates(rhythms, end, gone).min() > 1
    nothing = rhythms.observe(ONE, ONE, np.full((1, 3), np.nan), end + DAY, STEP)
    assert np.isfinite(nothing.score).all()
    assert (nothing.offset == 0).all()


def test_little_past_calls_nothing_rare() -> None:
    rhythms = Rhythms(np.full(3, 0.1), DAY)
    values = np.concatenate([_values(0.9), np.full((3, 3), 900.0)])
    assert np.isinf(_rates(rhythms, 0.0, values)).all()


def test_replicas_share_a_rhythm_and_are_judged_one_by_one() -> None:
    rhythms, end = _taught()
    values = np.repeat(_values(1.0, seed=6)[None, :6], 3, axis=0)
    values[2, :, 2] = 150
    for index in range(6):
        at = end + index * STEP
        found = rhythms.observe(np.zeros(3, dtype=np.int64), np.array([7, 8, 9]), values[:, index], at, STEP)
    assert found.rate[:2].min() > 1 > found.rate[2]


def test_what_was_saved_judges_as_before() -> None:
    rhythms, end = _taught(3.0)
    again = Rhythms(np.full(3, 0.1), 10 * DAY)
    again.restore({name: array.copy() for name, array in rhythms.export().items()})
    values = _values(0.5, seed=7)
    assert np.array_equal(_rates(rhythms, end, values), _rates(again, end, values))
    with pytest.raises(MismatchError):
        Rhythms(np.full(4, 0.1), DAY).restore(rhythms.export())


def test_churn_leaves_memory_bounded() -> None:
    rhythms = Rhythms(np.full(3, 0.1), DAY)
    for cycle in range(60):
        names = np.arange(100) + 100 * cycle
        rhythms.observe(names, names, np.ones((100, 3)), cycle * STEP, STEP)
    assert max(len(array) for array in rhythms.export().values()) <= 4096


def test_the_threshold_stands_for_one_alarm_a_container_month() -> None:
    assert ratio(np.array([1.0, np.inf, 0.0, 10.0])) == pytest.approx([0.8, 0.0, 1.0, 0.683], abs=0.001)


def test_the_threshold_follows_the_users_rate() -> None:
    assert ratio(np.array([4.0, 1.0]), 4.0) == pytest.approx([0.8, 0.848], abs=0.001)
