import forecast_score as score
import numpy as np
import pytest


def test_last_value_itself_has_a_loss_of_one() -> None:
    error = np.array([2.0, 5.0])
    assert score.loss(error, error, np.array([3.0, 4.0])) == pytest.approx([1.0, 1.0])


def test_the_floor_keeps_a_series_without_error_from_deciding_everything() -> None:
    assert score.loss(np.array([0.0]), np.array([1.0]), np.array([1.0])) == pytest.approx(0.05 / 1.05)


def test_a_series_that_never_moved_has_no_loss() -> None:
    assert np.isnan(score.loss(np.array([0.0]), np.array([0.0]), np.array([0.0])))


def test_losses_average_geometrically_over_what_is_known() -> None:
    losses = np.array([[0.5, np.nan], [2.0, 0.7]])
    assert score.geometric_mean(losses) == pytest.approx([1.0, 0.7])


def test_a_high_quantile_loses_more_by_lying_under_the_actual_than_over_it() -> None:
    assert score.pinball(np.array([10.0]), np.array([8.0]), 0.9) == pytest.approx([1.8])
    assert score.pinball(np.array([8.0]), np.array([10.0]), 0.9) == pytest.approx([0.2])


def test_the_medians_error_is_the_mean_absolute_error_of_each_horizon() -> None:
    actual, forecast = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[0.0, 2.0], [6.0, 3.0]])
    assert score.mean_error(actual, forecast, 0.5) == pytest.approx([2.0, 0.5])


def test_actuals_at_the_quantile_count_as_under_it() -> None:
    assert score.share_under([np.array([1.0, 2.0, 3.0, 4.0])], [np.array([1.0, 1.0, 3.0, 5.0])]) == pytest.approx(
        [0.75]
    )
