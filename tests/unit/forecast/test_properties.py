import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.forecast.forecaster import Forecast, Forecaster
from exporter.history.signals import LEVELS, RESOURCES
from exporter.history.windows import Grid
from exporter.sections import ForecastConfig

WIDTH = 48
AHEAD = (1, 2, 5)
GROWN = 4 * 2**20
"""Bytes of the trees, which a training child may hand over at any moment, once."""
COLUMNS = 100
WHOLE = [RESOURCES.index("file_descriptors"), RESOURCES.index("threads")]
MOST = float(np.finfo(np.float32).max)
Column = Callable[[np.random.Generator], np.ndarray]


def configured(step: float) -> ForecastConfig:
    horizons = tuple(step * ahead for ahead in AHEAD)
    return ForecastConfig(step=step, horizons=horizons, min_history=6 * step, arima=False)


def noisy(random: np.random.Generator) -> np.ndarray:
    return random.gamma(2.0, 1.0, COLUMNS)


def daily(random: np.random.Generator) -> np.ndarray:
    return 5 + 4 * np.sin(np.arange(COLUMNS) * 2 * np.pi / 24) + 0.1 * random.normal(size=COLUMNS)


def constant(random: np.random.Generator) -> np.ndarray:
    return np.full(COLUMNS, random.choice([0.0, 1e-30, 0.3, 7.0, 2.0**40]))


def three_points(random: np.random.Generator) -> np.ndarray:
    values = np.full(COLUMNS, np.nan)
    at = random.integers(0, COLUMNS - 3)
    values[at : at + 3] = random.gamma(2.0, 1.0, 3)
    return values


def never_seen(random: np.random.Generator) -> np.ndarray:
    return np.full(COLUMNS, np.nan)


def with_gaps(random: np.random.Generator) -> np.ndarray:
    values = noisy(random)
    for at in random.integers(0, COLUMNS, 3):
        values[at : at + random.integers(1, 40)] = np.nan
    return values


def shifted(random: np.random.Generator) -> np.ndarray:
    return noisy(random) * np.where(np.arange(COLUMNS) < random.integers(10, COLUMNS), 1.0, 1e6)


def negative(random: np.random.Generator) -> np.ndarray:
    return -noisy(random) + random.choice([0.0, 2.0])


def huge(random: np.random.Generator) -> np.ndarray:
    return 1e18 * noisy(random)


def beyond_float(random: np.random.Generator) -> np.ndarray:
    return np.clip(MOST * random.normal(size=COLUMNS), -MOST, MOST)


def tiny(random: np.random.Generator) -> np.ndarray:
    return 1e-38 * noisy(random)


def infinite(random: np.random.Generator) -> np.ndarray:
    return np.where(random.random(COLUMNS) < 0.1, np.inf, noisy(random))


ORDINARY: tuple[Column, ...] = (noisy, daily, constant, three_points, never_seen, with_gaps, shifted, negative, huge)
EVERY: tuple[Column, ...] = (*ORDINARY, tiny, beyond_float, infinite)
CLEAN: tuple[Column, ...] = (noisy,) * len(RESOURCES)
CAPS = ("never", "sometimes", "always", "unbounded")


@dataclass(frozen=True)
class Container:
    life: int
    workload: int
    columns: tuple[Column, ...]
    caps: str
    seed: int

    def demand(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Values, ceilings and where they are censored, each [resources, time]."""
        random = np.random.default_rng(self.seed)
        with np.errstate(over="ignore"):
            values = np.stack([column(random) for column in self.columns]).astype(np.float32)
        share = {"never": 0.0, "sometimes": 0.2}.get(self.caps, 1.0)
        censored = (random.random(values.shape) < share) & ~np.isnan(values)
        with np.errstate(over="ignore"):
            above = np.where(self.caps == "unbounded", np.float32(np.inf), np.abs(values) + values)
        return values, np.where(censored, above, values).astype(np.float32), censored


@dataclass(frozen=True)
class Look:
    """What happens before a grid is handed over, and who is in it."""

    jump: float
    """Columns by which the clock jumps; forward leaves a gap."""
    onward: int
    """Columns that pass then."""
    present: tuple[int, ...]


@dataclass(frozen=True)
class World:
    step: float
    containers: tuple[Container, ...]
    looks: tuple[Look, ...]

    def grids(self) -> list[Grid]:
        demands = [container.demand() for container in self.containers]
        shown, newest, end, grids = np.arange(20), 20, 1.8e9, []
        for look in self.looks:
            gap, onward = min(max(int(look.jump), 0), WIDTH), min(look.onward, COLUMNS - newest)
            shown = np.concatenate([shown, np.full(gap, -1), np.arange(newest, newest + onward)])
            newest, end = newest + onward, end + (look.jump + onward) * self.step
            there = [self.containers[number] for number in look.present]
            values, ceilings, censored = (
                _window([demands[number][part] for number in look.present], shown[-WIDTH:], blank)
                for part, blank in enumerate((np.nan, np.nan, False))
            )
            lives = np.array([container.life for container in there], np.int64)
            workloads = np.array([container.workload for container in there], np.int64)
            grids.append(Grid(self.step, end, lives, workloads, values, ceilings, censored))
        return grids


def _window(rows: Sequence[np.ndarray], shown: np.ndarray, blank: float | bool) -> np.ndarray:
    kind = np.bool_ if blank is False else np.float32
    window = np.full((len(rows), len(RESOURCES), WIDTH), blank, kind)
    for number, row in enumerate(rows):
        window[number, :, WIDTH - len(shown) :] = np.where(shown < 0, blank, row[:, shown])
    return window


def containers(kinds: Sequence[Column]) -> st.SearchStrategy[tuple[Container, ...]]:
    columns = st.tuples(*[st.sampled_from(kinds)] * len(RESOURCES))
    numbered = st.lists(
        st.tuples(st.integers(0, 2), columns, st.sampled_from(CAPS), st.integers(0, 2**16)), min_size=1, max_size=4
    )
    return numbered.map(lambda found: tuple(Container(life, *rest) for life, rest in enumerate(found)))


def worlds(kinds: Sequence[Column] = EVERY) -> st.SearchStrategy[World]:
    def peopled(found: tuple[Container, ...]) -> st.SearchStrategy[World]:
        jump = st.sampled_from([0.0, 0.0, 0.0, 0.4, 3.0, 90.0, 3000.0, -1.0, -60.0])
        present = st.permutations(range(len(found))).flatmap(
            lambda order: st.integers(0, len(order)).map(lambda count: tuple(order[:count]))
        )
        looks = st.lists(st.builds(Look, jump, st.integers(0, 15), present), min_size=1, max_size=5).map(tuple)
        return st.builds(World, st.sampled_from([60.0, 900.0, 3600.0]), st.just(found), looks)

    return containers(kinds).flatmap(peopled)


def columns_of(grids: Sequence[Grid]) -> list[int]:
    return [int(grid.end / grid.step + 1e-6) for grid in grids]


def observed(world: World, times: int = 1) -> list[tuple[Grid, Forecast]]:
    """Each grid with what was said of it, the last time that it was fed."""
    forecaster = Forecaster(configured(world.step))
    said = [(grid, [forecaster.observe(grid) for _ in range(times)][-1]) for grid in world.grids()]
    forecaster.close()
    return said


@settings(max_examples=20, deadline=None)
@given(worlds())
def test_whatever_is_fed_a_forecast_is_a_distribution_or_absent(world: World) -> None:
    lowest: dict[int, np.ndarray] = {}
    for grid, said in observed(world):
        shape = (len(grid.lives), len(RESOURCES), len(AHEAD))
        assert said.quantiles.shape == (*shape, len(LEVELS))
        assert said.due.shape == shape
        assert not np.isinf(said.quantiles).any()
        assert not np.isinf(said.due).any()
        known = ~np.isnan(said.quantiles)
        assert (known.all(axis=(2, 3)) == known.any(axis=(2, 3))).all()
        assert (said.quantiles[..., 1:] >= said.quantiles[..., :-1])[known[..., 1:]].all()
        assert (said.quantiles[:, WHOLE] == np.rint(said.quantiles[:, WHOLE]))[known[:, WHOLE]].all()
        for row, life in enumerate(grid.lives.tolist()):
            least = np.where(np.isnan(grid.values[row]), np.inf, grid.values[row]).min(axis=1)
            lowest[life] = np.minimum(lowest.get(life, least), least)
            assert not known[row][np.isinf(lowest[life])].any()
            assert not (said.quantiles[row][lowest[life] >= 0] < 0).any()
            assert not (said.due[row][lowest[life] >= 0] < 0).any()


@settings(max_examples=10, deadline=None)
@given(worlds(ORDINARY))
def test_what_was_seen_within_the_longest_horizon_has_a_forecast_from_the_next_column_on(world: World) -> None:
    columns = columns_of(world.grids())
    for number, (grid, said) in enumerate(observed(world)):
        seen = ~np.isnan(grid.values[..., -max(AHEAD) :]).all(axis=2)
        if columns[number] > max(columns[:number], default=0):
            assert np.isfinite(said.quantiles[seen]).all()


@settings(max_examples=10, deadline=None)
@given(worlds())
def test_only_what_was_measured_for_long_enough_is_trusted(world: World) -> None:
    demands = {container.life: container.demand() for container in world.containers}
    passed = 20
    for look, (grid, said) in zip(world.looks, observed(world), strict=True):
        passed += look.onward
        for row, life in enumerate(grid.lives.tolist()):
            values, _, censored = demands[life]
            measured = (np.isfinite(values) & ~censored)[:, :passed].sum(axis=1)
            assert (measured[said.trusted[row]] > 6).all()


@settings(max_examples=10, deadline=None)
@given(worlds())
def test_an_extreme_neighbour_spoils_no_forecast(world: World) -> None:
    clean = Container(99, 99, CLEAN, "never", 5)
    looks = tuple(
        replace(look, onward=max(look.onward, 1), present=(*look.present, len(world.containers)))
        for look in world.looks
    )
    for _, said in observed(World(world.step, (*world.containers, clean), looks)):
        assert np.isfinite(said.quantiles[-1]).all()
        assert said.quantiles[-1].max() < 1e4


@settings(max_examples=10, deadline=None)
@given(worlds())
def test_the_same_grids_give_the_same_forecasts_also_where_each_comes_twice(world: World) -> None:
    for (_, once), (_, again) in zip(observed(world), observed(world, times=2), strict=True):
        for name in ("quantiles", "due", "trusted", "loss_ratio", "coverage"):
            np.testing.assert_array_equal(getattr(once, name), getattr(again, name), err_msg=name)


@pytest.mark.parametrize("jump", [-1.0, -60.0, -3000.0, 90.0, 3000.0])
def test_when_the_clock_has_jumped_the_forecast_goes_on_with_the_new_time(jump: float) -> None:
    steady = Container(0, 0, CLEAN, "never", 3)
    looks = (Look(0.0, 10, (0,)), Look(jump, 1, (0,)), *[Look(0.0, 1, (0,))] * 12)
    said = observed(World(60.0, (steady,), looks))
    after = [forecast.quantiles[0, 0, 0, 0] for _, forecast in said[2:]]
    assert np.isfinite(after).all()
    assert len(set(after)) > 6
    assert np.isfinite(said[-1][1].due).all()


def held_bytes(root: object) -> int:
    """Bytes of all arrays within reach of ``root``; a view counts as what it keeps alive."""
    seen, found, waiting = {id(root)}, 0, [root]
    while waiting:
        for thing in gc.get_referents(waiting.pop()):
            owner: Any = thing
            while isinstance(owner, np.ndarray) and isinstance(owner.base, np.ndarray):
                owner = owner.base
            if id(owner) in seen or isinstance(owner, (type, type(gc), type(noisy))):
                continue
            seen.add(id(owner))
            found += owner.nbytes if isinstance(owner, np.ndarray) else 0
            waiting.append(owner)
    return found


def test_memory_is_bounded_while_containers_come_and_go() -> None:
    pair = World(
        60.0, (Container(0, 0, CLEAN, "sometimes", 1), Container(1, 1, CLEAN, "never", 2)), (Look(0.0, 25, (0, 1)),)
    )
    grid = pair.grids()[0]
    forecaster, held = Forecaster(configured(60.0)), {}
    for number in range(601):
        there = np.array([number, number + 1])
        forecaster.observe(replace(grid, end=grid.end + 60 * number, lives=there, workloads=there))
        if number in (300, 600):
            held[number] = held_bytes(forecaster)
    forecaster.close()
    assert held[600] <= 1.01 * held[300] + GROWN
    assert held[600] < 40 * 2**20
