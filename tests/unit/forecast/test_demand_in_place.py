import numpy as np
import pytest

from exporter.forecast.demand import Demand, mended, prepare, settled
from exporter.history.windows import Grid

CONTAINERS, RESOURCES, COLUMNS, NEWEST = 23, 6, 80, 7


def gappy(seed: int) -> Grid:
    """A grid with gaps, late first samples, series never seen, absurd samples and capped stretches."""
    random = np.random.default_rng(seed)
    values = random.uniform(1, 2, (CONTAINERS, RESOURCES, COLUMNS + 5)).astype(np.float32)[:, :, 3:-2]
    values[random.random(values.shape) < 0.05] = np.nan
    values[random.random(values.shape) < 0.002] = np.inf
    for row in range(0, CONTAINERS, 3):
        values[row, :, : random.integers(1, COLUMNS)] = np.nan
    values[4], values[5] = np.nan, 1.5
    held = np.full((CONTAINERS, 2, COLUMNS), np.nan, np.float16)
    for row in range(0, CONTAINERS, 4):
        start = random.integers(0, COLUMNS - 9)
        held[row, :, start : start + 9] = random.uniform(0.5, 3, (2, 9))
    numbers = np.arange(CONTAINERS)
    return Grid(60.0, 60.0 * COLUMNS, numbers, numbers, values, held, ~np.isnan(held))


def filled_one_by_one(grid: Grid, row: int, resource: int) -> tuple[list[float], int]:
    """What a series wanted, column by column, and its first sample."""
    seen = grid.values[row, resource]
    wanted, first, bound = [], COLUMNS, []
    for column, value in enumerate(seen.tolist()):
        capped = resource < grid.ceilings.shape[1] and bool(grid.censored[row, resource, column])
        bound = [*bound[-4:], capped]
        if np.isfinite(value):
            first = min(first, column)
            ceiling = grid.ceilings[row, resource, column] if capped else value
            head = max(float(ceiling) - value, 0.0) if np.isfinite(ceiling) else 0.0
            wanted.append(value + head * sum(bound) / 5)
        else:
            wanted.append(wanted[-1] if wanted else np.nan)
    early = wanted[first] if first < COLUMNS else np.nan
    return [early if column < first else value for column, value in enumerate(wanted)], first


@pytest.mark.parametrize("seed", range(3))
def test_gaps_are_filled_and_caps_lifted_as_column_by_column(seed: int) -> None:
    grid = gappy(seed)
    demand = prepare(grid)
    for row in range(CONTAINERS):
        for resource in range(RESOURCES):
            wanted, first = filled_one_by_one(grid, row, resource)
            series = row * RESOURCES + resource
            assert demand.first[series] == first
            np.testing.assert_allclose(demand.values[series], np.float32(wanted), rtol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_what_is_lent_is_what_a_copy_would_be_and_the_grid_is_as_before_at_the_end(seed: int) -> None:
    grid = gappy(seed)
    before, copied = grid.values.tobytes(), prepare(grid)
    assert grid.values.tobytes() == before
    with mended(grid, NEWEST) as lent:
        assert np.shares_memory(lent.values, grid.values)
        np.testing.assert_array_equal(lent.values, copied.values)
        np.testing.assert_array_equal(lent.first, copied.first)
        for name in ("measured", "low", "high"):
            np.testing.assert_array_equal(getattr(lent, name), getattr(copied, name)[:, -NEWEST:])
    assert grid.values.tobytes() == before


def test_the_grid_is_as_before_also_where_the_step_fails() -> None:
    grid = gappy(3)
    before = grid.values.tobytes()
    with pytest.raises(ZeroDivisionError), mended(grid, NEWEST):
        raise ZeroDivisionError
    assert grid.values.tobytes() == before


def test_what_is_written_into_the_time_before_the_first_sample_does_not_stay() -> None:
    grid = gappy(4)
    before = grid.values.tobytes()
    with mended(grid, NEWEST) as lent:
        late = int((lent.first % COLUMNS).argmax())
        lent.values[late, : lent.first[late]] = 7.0
    assert grid.values.tobytes() == before


def test_the_grid_is_as_before_also_where_beginnings_were_left_out() -> None:
    grid = gappy(6)
    before, copied = grid.values.tobytes(), settled(prepare(grid))
    with mended(grid, NEWEST) as lent:
        told = settled(lent)
        np.testing.assert_array_equal(told.values, copied.values)
        np.testing.assert_array_equal(told.first, copied.first)
        assert grid.values.tobytes() != before
    assert grid.values.tobytes() == before


@pytest.mark.parametrize("column", [0, 40, COLUMNS - 2, COLUMNS])
def test_what_was_known_before_a_column_ends_there_whatever_was_told_of_it(column: int) -> None:
    grid = gappy(5)
    whole = prepare(grid).before(column)
    with mended(grid, NEWEST) as lent:
        part: Demand = lent.before(column)
        np.testing.assert_array_equal(part.values, whole.values)
        np.testing.assert_array_equal(part.first, whole.first)
        told = part.low.shape[1]
        assert told == max(NEWEST - (COLUMNS - column), 0)
        np.testing.assert_array_equal(part.low, whole.low[:, column - told :])
