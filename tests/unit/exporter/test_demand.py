import numpy as np
import pytest

from exporter.history.demand import BOUNDS, Demand, bounds
from exporter.history.identity import Identity
from exporter.history.registry import Registry
from exporter.history.signals import COLUMN, RESOURCES, SIGNALS
from exporter.history.snapshot import Allocation

NAN = float("nan")
NODE_CPU = 4.0
WIDTH = len(SIGNALS) + len(BOUNDS)


def _signals(**values: float) -> np.ndarray:
    row = np.full((1, len(SIGNALS)), NAN)
    for name, value in values.items():
        row[0, COLUMN[name]] = value
    return row


def _bounds(signals: np.ndarray, cpu: float = NAN, memory: float = NAN, kills: float = 0.0) -> list[float]:
    given = Allocation(np.array([cpu]), np.array([memory]), np.array([NAN]), np.array([NAN]))
    found: list[float] = bounds(signals, given, NODE_CPU, np.array([kills]))[0].tolist()
    return found


def test_free_use_has_no_bounds() -> None:
    signals = _signals(cpu=0.5, cpu_throttled=0.04, cpu_throttled_seconds=0.01, memory=100.0)
    assert np.isnan(_bounds(signals, cpu=1.0, memory=200.0)).all()
    assert np.isnan(_bounds(_signals(cpu=0.5, cpu_throttled=0.0, memory=100.0))).all()


def test_throttled_cpu_is_bounded_by_use_and_the_throttled_seconds() -> None:
    signals = _signals(cpu=0.5, cpu_throttled=0.06, cpu_throttled_seconds=0.7)
    assert _bounds(signals, cpu=1.0)[0] == pytest.approx(1.2)


def test_no_bound_exceeds_the_node_or_undercuts_the_use() -> None:
    assert _bounds(_signals(cpu=0.5, cpu_throttled=0.5, cpu_throttled_seconds=90.0))[0] == NODE_CPU
    assert _bounds(_signals(cpu=4.2, cpu_throttled=0.5, cpu_throttled_seconds=0.1))[0] == pytest.approx(4.2)


def test_use_over_95_percent_of_a_limit_is_censored_and_nothing_bounds_memory() -> None:
    cpu, memory, _ = _bounds(_signals(cpu=0.96, cpu_throttled=0.0, memory=191.0), cpu=1.0, memory=200.0)
    assert cpu == pytest.approx(0.96)
    assert memory == np.inf
    assert np.isnan(_bounds(_signals(cpu=0.94, memory=189.0), cpu=1.0, memory=200.0)).all()


def test_an_oom_kill_is_a_sample_20_percent_over_the_limit() -> None:
    assert _bounds(_signals(memory=50.0), memory=200.0, kills=1.0)[2] == pytest.approx(240.0)
    assert np.isnan(_bounds(_signals(memory=50.0), memory=200.0)[2])


def _registry() -> Registry:
    registry = Registry(3)
    registry.admit(Identity(key="a", workload="w"), 0.0)
    return registry


def _cycles(columns: int, **values: list[float]) -> np.ndarray:
    cycles = np.full((2, WIDTH, columns), NAN, np.float32)
    for name, series in values.items():
        place = COLUMN[name] if name in COLUMN else len(SIGNALS) + BOUNDS.index(name)
        cycles[1, place] = series
    return cycles


def test_a_step_is_the_mean_of_rates_and_the_peak_of_memory_descriptors_and_threads() -> None:
    demand = Demand(4)
    values = {name: [1.0, NAN, 4.0] for name in RESOURCES}
    demand.close(_cycles(3, **values), 1)
    grid = demand.grid(_registry(), 60.0, 600.0)
    expected = [4.0 if name in ("memory", "file_descriptors", "threads") else 2.5 for name in RESOURCES]
    assert grid.values[1, :, -1].tolist() == expected
    assert np.isnan(grid.values[0]).all()
    assert not grid.censored.any()


def test_a_step_is_censored_where_a_cycle_of_it_was_and_its_ceiling_is_the_largest() -> None:
    demand = Demand(4)
    demand.close(_cycles(2, cpu=[0.5, 0.7], cpu_ceiling=[NAN, 1.4], memory=[9.0, 9.0], memory_ceiling=[NAN, np.inf]), 1)
    grid = demand.grid(_registry(), 60.0, 600.0)
    assert grid.values[1, 0, -1] == np.float32(0.6)
    assert grid.ceilings[1, 0, -1] == pytest.approx(1.4, rel=1e-3)
    assert grid.ceilings[1, 1, -1] == np.inf
    assert grid.censored[1, :, -1].tolist() == [True, True]


def test_an_oom_kill_lifts_the_memory_of_its_step() -> None:
    demand = Demand(4)
    demand.close(_cycles(2, memory=[150.0, 60.0], memory_floor=[NAN, 240.0]), 1)
    assert demand.grid(_registry(), 60.0, 600.0).values[1, 1, -1] == 240.0


def test_steps_missed_after_one_that_ended_are_unknown_and_not_zero() -> None:
    demand = Demand(4)
    demand.close(_cycles(1, cpu=[1.0]), 1)
    demand.close(_cycles(1, cpu=[2.0]), 3)
    np.testing.assert_array_equal(demand.grid(_registry(), 60.0, 600.0).values[1, 0], [1.0, 2.0, NAN, NAN])
