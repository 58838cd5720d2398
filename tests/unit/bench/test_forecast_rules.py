import numpy as np
import pytest
from forecast_rules import DAY, by_rule, same_time_on_past_days, seasonal_naive, vpa_recommendation

HOUR = 3600.0


def test_vpa_recommends_the_90th_percentile_and_15_percent() -> None:
    values = np.random.default_rng(1).permutation(np.arange(1.0, 106.0))
    assert vpa_recommendation(values, np.array([104]), step=1.0) == pytest.approx([95 * 1.15])


def test_vpa_gives_half_the_weight_to_what_is_a_day_older() -> None:
    levels = np.repeat([1.0, 2.0, 3.0, 4.0], 24)
    shares = np.array([1, 2, 4, 8]) / 15
    assert shares[:3].sum() < 0.9
    assert vpa_recommendation(levels, np.array([95]), HOUR) == pytest.approx([4 * 1.15])
    falling = np.repeat([9.0, 2.0, 1.0, 1.0], 24)
    assert vpa_recommendation(falling, np.array([95]), HOUR) == pytest.approx([2 * 1.15])


def test_vpa_knows_nothing_of_what_comes_after_the_origin() -> None:
    values = np.append(np.ones(50), np.full(50, 100.0))
    assert vpa_recommendation(values, np.array([49]), HOUR) == pytest.approx([1.15])


@pytest.mark.parametrize("rule", ["last_value", "seasonal_naive", "crane_past_days", "vpa"])
def test_no_rule_looks_into_the_future(rule: str) -> None:
    values = np.random.default_rng(2).normal(10, 1, 200)
    changed = np.append(values[:101], values[101:] * 7)
    origins = np.array([60, 100])
    said = [by_rule(rule, each, origins, (1, 3), (0.5, 0.9), HOUR) for each in (values, changed)]
    assert said[0] == pytest.approx(said[1])


def test_last_value_says_the_value_at_the_origin_and_adds_its_own_errors_above() -> None:
    values = np.arange(100.0)
    said = by_rule("last_value", values, np.array([80]), (2,), (0.5, 0.9), HOUR)
    assert said[0, 0] == pytest.approx([80.0, 82.0])


def test_seasonal_naive_repeats_the_day_before_and_begins_with_last_value() -> None:
    values = np.arange(30.0)
    said = seasonal_naive(values, 2, HOUR)
    assert said[29] == 5.0
    assert said[10] == 8.0


def test_past_days_are_averaged_as_far_as_they_are_known() -> None:
    values = np.repeat([1.0, 3.0, 8.0, 0.0], 4)
    assert same_time_on_past_days(values, 1, DAY / 4)[12:] == pytest.approx(4.0)
