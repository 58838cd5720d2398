from typing import Any

import numpy as np
import pytest

from exporter.forecast import backpropagation, boosting, child, networks, recurrent, sequences
from exporter.forecast.backpropagation import BURN, LENGTH
from exporter.forecast.demand import Demand
from exporter.forecast.engine import Engine
from exporter.forecast.exchange import NonsenseError
from exporter.forecast.plan import Plan
from exporter.forecast.recurrent import Network
from exporter.forecast.state import MEMBERS, bequeath
from exporter.persist.arrays import MismatchError, under

PLAN = Plan((2, 5), (0.5, 0.9), 1, 1440, 1441, 10)
SERIES, COLUMNS = 4, 500
STILL = SERIES - 1
AHEAD = np.array(PLAN.ahead)


def demand_of(values: np.ndarray, columns: int = COLUMNS) -> Demand:
    known = values[:, :columns]
    return Demand(known, np.ones(known.shape, np.bool_), known, known, np.zeros(len(known), np.int64))


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    t = np.arange(COLUMNS + 100)
    moving = [50 + 10 * np.sin(2 * np.pi * (t + 3 * row) / 24) for row in range(STILL)]
    return np.stack([*moving, np.full(len(t), 7.0)]).astype(np.float32)


def fed(values: np.ndarray, columns: int = COLUMNS) -> Engine:
    engine = Engine(PLAN)
    engine.arrange(np.full(len(values), -1))
    for column in range(columns):
        engine.step(demand_of(values, columns), column, column)
    return engine


@pytest.fixture(scope="module")
def learned(values: np.ndarray) -> dict[str, Any]:
    return {name: array.copy() for name, array in fed(values).export().items()}


@pytest.fixture
def engine(learned: dict[str, Any]) -> Engine:
    made = Engine(PLAN)
    made.restore({name: array.copy() for name, array in learned.items()}, SERIES)
    return made


@pytest.fixture(scope="module")
def answer(values: np.ndarray) -> dict[str, Any]:
    request = networks.request(fed(values), demand_of(values), COLUMNS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sequences, "_FEWEST", 150)
        return sequences.learn(request, lambda: False)


def test_inputs_are_differences_in_units_of_the_series() -> None:
    rising = np.arange(400.0, dtype=np.float32)[None]
    found = sequences.inputs(rising, np.array([2.0], np.float32))
    assert found.tolist() == [[0.5, 59.5, 0.0, 0.75, 9.75, 89.75]]
    assert found.shape == (1, sequences.INPUTS)


@pytest.mark.parametrize("length", [1, 2, 50])
def test_inputs_are_zero_for_what_never_moved_however_short(length: int) -> None:
    assert not sequences.inputs(np.full((3, length), 9.0, np.float32), np.zeros(3, np.float32)).any()


def test_targets_are_the_changes_that_came_and_inputs_those_that_the_engine_sees(values: np.ndarray) -> None:
    units = np.array([[2.0, 4.0]] * SERIES, np.float32)
    seen, came = sequences.lessons(values, np.zeros(SERIES, np.int64), units, AHEAD)
    width = values.shape[1]
    assert seen.shape == (*came.shape[:2], sequences.INPUTS)
    assert came.shape == (LENGTH, SERIES * len(range(width - LENGTH, -1, BURN - LENGTH)), 2)
    now = width - LENGTH + 10
    np.testing.assert_allclose(seen[10, :SERIES], sequences.inputs(values[:, : now + 1], units[:, 0]), atol=1e-5)
    np.testing.assert_allclose(came[10, :SERIES, 1], (values[:, now + 5] - values[:, now]) / 4.0, atol=1e-5)
    assert np.isnan(came[-5:, :SERIES, 1]).all()
    assert not np.isnan(came[-6, :SERIES]).any()


def test_nothing_is_learned_from_before_a_series_began_nor_from_one_without_a_unit(values: np.ndarray) -> None:
    first = np.array([0, values.shape[1] - 40, 0, 0])
    units = np.ones((SERIES, 2), np.float32)
    units[2, 0] = 0.0
    _, came = sequences.lessons(values, first, units, AHEAD)
    assert not np.isnan(came[:50, 0]).any()
    assert np.isnan(came[: LENGTH - 40, 1]).all()
    assert not np.isnan(came[LENGTH - 40, 1]).any()
    assert np.isnan(came[:, 2, 0]).all()
    assert not np.isnan(came[:50, 2, 1]).any()


def test_a_series_that_was_never_seen_teaches_nothing_and_harms_nothing(values: np.ndarray) -> None:
    values = np.concatenate([values, np.full((1, values.shape[1]), np.nan, np.float32)])
    units = np.ones((len(values), 2), np.float32)
    first = np.array([0] * SERIES + [values.shape[1]])
    seen, came = sequences.lessons(values, first, units, AHEAD)
    assert np.isnan(came[:, SERIES]).all()
    trained = backpropagation.fit(recurrent.fresh(sequences.INPUTS, 2, 0), seen, came, 5, 0, lambda: False)
    assert all(np.isfinite(weights).all() for weights in vars(trained).values())


def test_only_series_that_move_are_handed_over_and_only_once_there_is_enough(
    engine: Engine, values: np.ndarray
) -> None:
    request = networks.request(engine, demand_of(values), COLUMNS)
    assert request["sequences/values"].shape == (STILL, COLUMNS)
    assert not (request["sequences/values"] == 7.0).any()
    assert "network/gate" not in request
    assert networks.request(fed(values, 200), demand_of(values, 200), 200) == {}


def test_the_child_goes_on_from_the_weights_that_serve_and_stops_when_told(
    engine: Engine, values: np.ndarray, answer: dict[str, Any]
) -> None:
    networks.install(engine, demand_of(values), answer)
    request = networks.request(engine, demand_of(values), COLUMNS)
    np.testing.assert_array_equal(request["network/gate"], answer["network/gate"])
    turns = iter(range(10))
    again = sequences.learn(request, lambda: next(turns) > 2)
    moved = np.abs(again["network/readout"] - answer["network/readout"]).max()
    assert 0 < moved < 0.1
    assert sequences.learn(request, lambda: True) == {}
    assert sequences.learn({}, lambda: False) == {}


def test_the_child_trains_network_and_trees_in_one_pass() -> None:
    assert child.TASKS.index(sequences.learn) < child.TASKS.index(boosting.learn)


def test_a_trained_network_forecasts_better_than_last_value_and_standstill_as_standstill(
    engine: Engine, values: np.ndarray, answer: dict[str, Any]
) -> None:
    member, ahead = MEMBERS.index("recurrent"), len(values[0])
    assert (engine.flat().heard[:, :, member] == 0).all()
    networks.install(engine, demand_of(values), answer)
    for column in range(COLUMNS, ahead):
        said = engine.step(demand_of(values, ahead), column, column)
    losses = engine.flat().losses
    assert (losses[:STILL, :, member] < 0.7 * losses[:STILL, :, 0]).all()
    assert (losses[STILL, :, member] == 0.0).all()
    assert (said.quantiles[STILL] == 7.0).all()


def test_states_after_a_new_network_are_those_that_it_would_have_had(
    engine: Engine, values: np.ndarray, answer: dict[str, Any]
) -> None:
    networks.install(engine, demand_of(values), answer)
    unit, network = engine.flat().spread[:, 0], engine.network
    assert network is not None
    assert not engine.flat().memory[STILL].any()
    engine.step(demand_of(values, COLUMNS + 1), COLUMNS, COLUMNS)
    expected = sequences.states(network, values[:, : COLUMNS + 1], unit)
    np.testing.assert_allclose(engine.flat().memory, expected, atol=0.05)


def test_a_restored_engine_forecasts_the_same(engine: Engine, values: np.ndarray, answer: dict[str, Any]) -> None:
    networks.install(engine, demand_of(values), answer)
    saved = {name: array.copy() for name, array in engine.export().items()}
    again = Engine(PLAN)
    again.restore(saved, SERIES)
    demand = demand_of(values, COLUMNS + 1)
    first, second = (each.step(demand, COLUMNS, COLUMNS).quantiles for each in (engine, again))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(engine.flat().memory, again.flat().memory)
    saved["network/loop"] = saved["network/loop"] * np.nan
    with pytest.raises(MismatchError, match="finite"):
        again.restore(saved, SERIES)


@pytest.mark.parametrize(
    "nonsense",
    [
        {"gate": np.zeros((3, recurrent.WIDTH), np.float32)},
        {"readout": np.zeros((recurrent.WIDTH + sequences.INPUTS, 3), np.float32)},
        {"entry": np.zeros((sequences.INPUTS, recurrent.WIDTH))},
        {"loop": np.full((recurrent.WIDTH, recurrent.WIDTH), np.nan, np.float32)},
        {"loop": np.full((recurrent.WIDTH, recurrent.WIDTH), np.inf, np.float32)},
        {"loop": np.full((recurrent.WIDTH, recurrent.WIDTH), 1e30, np.float32)},
    ],
)
def test_weights_that_cannot_be_are_refused_and_the_old_ones_serve_on(
    engine: Engine, values: np.ndarray, answer: dict[str, Any], nonsense: dict[str, Any]
) -> None:
    networks.install(engine, demand_of(values), answer)
    serving, good = engine.network, vars(recurrent.fresh(sequences.INPUTS, 2, 0))
    with pytest.raises(NonsenseError, match="network"):
        networks.install(engine, demand_of(values), under("network", {**good, **nonsense}))
    with pytest.raises(NonsenseError, match="missing"):
        networks.install(engine, demand_of(values), {"network/gate": good["gate"]})
    assert engine.network is serving
    networks.install(engine, demand_of(values), {})
    assert engine.network is serving
    networks.install(engine, demand_of(values), under("network", good))
    assert isinstance(engine.network, Network)
    assert engine.network is not serving


def test_a_container_keeps_its_states_where_it_moves_and_gives_them_to_its_heir(
    engine: Engine, values: np.ndarray, answer: dict[str, Any]
) -> None:
    networks.install(engine, demand_of(values), answer)
    before = engine.state.memory.copy()
    engine.arrange(np.array([1, -1, -1]))
    bequeath(engine.state, 2, engine.state, 0)
    np.testing.assert_array_equal(engine.state.memory[[0, 2]], before[[1, 1]])
    assert not engine.state.memory[1].any()
