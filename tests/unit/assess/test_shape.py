import numpy as np
import pytest

from exporter.assess.shape import PARTS, damping, end_slope, parts, unlike_steps

COLUMNS = 160
RISE = np.arange(COLUMNS) / COLUMNS


def _residuals(heights: np.ndarray) -> np.ndarray:
    """Return the parts of one rise's distances from its own line, over its growth."""
    place = np.arange(len(heights))
    slope, level = np.polyfit(place, heights, 1)
    away = heights - level - slope * place
    return parts(away[None], np.array([len(heights)])) / (slope * len(heights))


def _stairs(count: int) -> np.ndarray:
    return np.floor(RISE * (count + 1)) / count


def _noise(size: float) -> np.ndarray:
    return np.random.default_rng(3).normal(0, size, COLUMNS)


def test_parts_are_means_over_the_last_columns_only() -> None:
    away = np.concatenate([np.full(48, 100.0), np.arange(32.0)])
    assert parts(away[None], np.array([32]))[0] == pytest.approx(np.arange(PARTS) * 2 + 0.5)


def test_a_rise_shorter_than_its_parts_is_divided_within_its_columns() -> None:
    found = parts(np.arange(12.0)[None], np.array([12]))[0]
    assert found[:5] == pytest.approx([0, 1 / 3, 1 + 1 / 3, 2, 3], abs=0.35)
    assert found.mean() == pytest.approx(5.5)


@pytest.mark.parametrize("size", [0.0, 0.05, 0.2])
def test_a_line_ends_steep_and_does_not_flatten(size: float) -> None:
    residuals = _residuals(RISE + _noise(size))
    assert 0.8 <= end_slope(residuals)[0] <= 1.1 + 8 * size
    assert damping(residuals)[0] > 0.85


@pytest.mark.parametrize(
    "heights",
    [np.sin(np.pi * (RISE - 0.5)), np.maximum(1 - np.exp(1 - 5 * RISE), 0)],
    ids=["wave", "warm-up after a level"],
)
def test_what_flattens_ends_flat(heights: np.ndarray) -> None:
    assert end_slope(_residuals(heights + _noise(0.02)))[0] < 0.5


@pytest.mark.parametrize("lasted", [0.5, 1.0, 2.0])
def test_a_warm_up_slows_from_half_to_half_by_its_own_pace(lasted: float) -> None:
    found = damping(_residuals(1 - np.exp(-lasted * RISE)))[0]
    assert found == pytest.approx(np.exp(-lasted / 2), rel=0.1)


def test_noise_speaks_for_a_line() -> None:
    heights = 1 - np.exp(-RISE)
    assert damping(_residuals(heights + _noise(0.1)))[0] > damping(_residuals(heights))[0] + 0.05


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("size", [0.0, 0.03])
def test_few_steps_are_explained_by_steps(count: int, size: float) -> None:
    assert unlike_steps(_residuals(_stairs(count) + _noise(size)))[0] < 0.1


@pytest.mark.parametrize("heights", [RISE, _stairs(5), _stairs(8), RISE + 0.1 * (RISE * 9 % 1)])
def test_a_line_many_stairs_and_a_saw_tooth_are_not_explained_by_steps(heights: np.ndarray) -> None:
    assert unlike_steps(_residuals(heights + _noise(0.01)))[0] > 0.25


def test_noise_does_not_make_a_line_look_like_steps() -> None:
    found = [unlike_steps(_residuals(RISE + _noise(size)))[0] for size in (0.02, 0.1, 0.3)]
    assert min(found) > 0.25
