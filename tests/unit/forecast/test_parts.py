import numpy as np
import pytest

from exporter.forecast import calibration, regression, selection
from exporter.forecast.demand import prepare, settled
from exporter.forecast.pending import Pending
from exporter.history.windows import Grid


def grid(values: list[float], ceilings: list[float] | None = None, censored: list[bool] | None = None) -> Grid:
    seen = np.array(values, np.float32)[None, None]
    upper = seen if ceilings is None else np.array(ceilings, np.float32)[None, None]
    flags = np.zeros(seen.shape, np.bool_) if censored is None else np.array(censored)[None, None]
    return Grid(60.0, 600.0, np.zeros(1, np.int64), np.zeros(1, np.int64), seen, upper, flags)


def test_gaps_are_carried_forward_and_never_measured() -> None:
    demand = prepare(grid([np.nan, 1, np.nan, np.nan, 4]))
    assert demand.values[0].tolist() == [1, 1, 1, 1, 4]
    assert demand.measured[0].tolist() == [False, True, False, False, True]
    assert demand.first[0] == 1


def test_a_beginning_is_left_out_and_the_first_sample_after_it_stands_for_it() -> None:
    demand = settled(prepare(grid([np.nan, 9, 8, 7, 2, 3])))
    assert demand.values[0].tolist() == [2, 2, 2, 2, 2, 3]
    assert demand.first[0] == 4


def test_what_has_only_begun_is_known_by_its_newest_sample() -> None:
    demand = settled(prepare(grid([np.nan, np.nan, 9, 8])))
    assert demand.values[0].tolist() == [8, 8, 8, 8]
    assert demand.first[0] == 3


@pytest.mark.parametrize("values", [[9.0, 8.0, 7.0, 2.0, 3.0], [np.nan] * 5])
def test_what_began_before_all_that_is_known_or_was_never_seen_is_left_as_it_is(values: list[float]) -> None:
    before, after = prepare(grid(values)), settled(prepare(grid(values)))
    np.testing.assert_array_equal(after.values, before.values)
    assert after.first[0] == before.first[0]


def test_a_mean_is_exact_while_young_and_with_haste_its_first_samples_fade() -> None:
    exact, hasty = (np.full(1, np.nan, np.float32) for _ in range(2))
    for count, sample in enumerate([8.0] * 20 + [1.0] * 20):
        heard, new = np.array([count]), np.array([sample], np.float32)
        exact = selection.decayed(exact, new, heard, 180)
        hasty = selection.decayed(hasty, new, heard, 180, haste=2.0)
    assert exact[0] == pytest.approx(4.5, abs=0.01)
    assert hasty[0] == pytest.approx(1 + 7 / 4, abs=0.1)


def test_an_old_mean_forgets_at_its_memory_whatever_the_haste() -> None:
    heard, old, new = np.array([1000]), np.zeros(1, np.float32), np.ones(1, np.float32)
    for haste in (1.0, 2.0):
        assert selection.decayed(old, new, heard, 180, haste)[0] == pytest.approx(1 / 180)


def test_a_binding_cap_moves_demand_to_the_ceiling_and_not_beyond() -> None:
    demand = prepare(grid([1.0] * 8, [2.0] * 8, [False] + [True] * 7))
    assert demand.values[0, 0] == 1
    assert 1 < demand.values[0, 1] < 2
    assert demand.values[0, -1] == 2
    assert not demand.measured[0, 1:].any()


def test_a_ceiling_that_is_unknown_or_under_the_usage_changes_nothing() -> None:
    demand = prepare(grid([1.0] * 6, [np.nan, 0.5] * 3, [True] * 6))
    assert (demand.values == 1).all()


def test_a_forecast_falls_due_after_its_horizon_and_only_then() -> None:
    pending = Pending(3, 1, 1)
    for column in range(10, 14):
        pending.push(column, np.array([[float(column)]], np.float32))
    assert pending.due(16)[0, 0] == 13
    assert np.isnan(pending.due(17)).all()


def test_after_a_gap_nothing_stale_falls_due() -> None:
    pending = Pending(3, 1, 1)
    pending.push(10, np.ones((1, 1), np.float32))
    assert np.isnan(pending.due(16)).all()


def test_the_model_that_lost_least_gets_the_weight() -> None:
    members = np.array([[1.0, 2.0]], np.float32)
    heard = np.full((1, 2), 50)
    assert selection.blend(members, np.array([[1.0, 0.5]], np.float32), heard)[0] == pytest.approx(2, abs=0.01)
    assert selection.blend(members, np.array([[0.5, 1.0]], np.float32), heard)[0] == pytest.approx(1, abs=0.01)


def test_last_value_serves_while_others_are_hardly_measured() -> None:
    members = np.array([[1.0, 2.0]], np.float32)
    losses = np.array([[1.0, 0.0]], np.float32)
    assert selection.blend(members, losses, np.array([[50, 2]]))[0] == pytest.approx(1)


def test_a_model_without_a_forecast_counts_for_nothing() -> None:
    members = np.array([[1.0, np.nan]], np.float32)
    assert selection.blend(members, np.array([[1.0, 0.1]], np.float32), np.full((1, 2), 50))[0] == 1


def followed(lately: float, for_long: float, last: float = 1.0) -> float:
    lost = np.array([[lately, for_long]], np.float32)
    return float(selection.faith(lost, np.full((1, 2), last, np.float32))[0])


def test_a_blend_is_followed_as_far_as_it_convinces_both_lately_and_for_long() -> None:
    assert followed(0.8, 0.8) == 1
    assert followed(0.95, 0.8) == pytest.approx(0.5, abs=0.01)
    assert followed(0.8, 0.95) == pytest.approx(0.5, abs=0.01)
    assert followed(1.0, 0.5) == followed(0.5, 1.2) == 0


def test_a_blend_that_is_not_measured_yet_is_followed_as_far_as_its_members_are() -> None:
    assert followed(np.nan, np.nan) == followed(0.5, 0.5, last=np.nan) == 1


def test_where_last_value_loses_nothing_it_serves() -> None:
    assert followed(0, 0, last=0) == followed(0.1, 0, last=0) == 0


def test_empirical_quantiles_take_the_finite_sample_rank() -> None:
    errors = np.arange(1, 100, dtype=np.float32)[None]
    bounds = calibration.quantiles(errors, np.zeros(0, np.float32), np.array([[0.5, 0.9]], np.float32))
    assert bounds[0] == pytest.approx([50, 90], abs=0.01)


def test_short_histories_lean_on_the_pool() -> None:
    few = np.array([[0.1, np.nan]], np.float32)
    pool = np.linspace(-1, 1, 24, dtype=np.float32)
    assert calibration.quantiles(few, pool, np.array([[0.9]], np.float32))[0, 0] > 0.5


def test_misses_raise_the_level_and_hits_lower_it() -> None:
    shift = np.zeros((2, 1), np.float32)
    calibration.correct(shift, np.array([[0.0], [1.0]], np.float32), (0.9,))
    assert shift[0, 0] > 0 > shift[1, 0]


def test_regression_learns_what_moves_a_series() -> None:
    random = np.random.default_rng(0)
    sums = np.zeros((1, regression.FEATURES + 1, regression.FEATURES + 1), np.float32)
    truth = np.zeros(regression.FEATURES)
    truth[[0, 3]] = [0.8, -0.5]
    for _ in range(600):
        inputs = random.normal(size=(1, regression.FEATURES)).astype(np.float32)
        change = (inputs @ truth).astype(np.float32)
        regression.learn(sums, inputs, change, np.full(1, 0.1, np.float32), np.ones(1, np.float32))
    assert regression.solve(sums, regression.pooled(sums, 1))[0] == pytest.approx(truth, abs=0.05)


def test_a_young_series_is_solved_as_its_kind() -> None:
    sums = np.zeros((2, regression.FEATURES + 1, regression.FEATURES + 1), np.float32)
    random = np.random.default_rng(0)
    for _ in range(300):
        inputs = random.normal(size=(2, regression.FEATURES)).astype(np.float32)
        change = np.array([inputs[0, 0], np.nan], np.float32)
        regression.learn(sums, inputs, change, np.zeros(2, np.float32), np.ones(2, np.float32))
    solved = regression.solve(sums, np.repeat(regression.pooled(sums, 1), 2, axis=0))
    assert solved[1, 0] == pytest.approx(1, abs=0.1)
