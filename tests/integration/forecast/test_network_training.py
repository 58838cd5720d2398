import time
from collections.abc import Iterator

import numpy as np
import pytest

from exporter.forecast import networks
from exporter.forecast.demand import Demand, prepare
from exporter.forecast.engine import Engine
from exporter.forecast.learning import Plan
from exporter.forecast.training import Training
from exporter.history.windows import Grid
from exporter.sections import ForecastConfig

STEP, SERIES, COLUMNS = 60.0, 3, 500


def grid(columns: int) -> Grid:
    t = np.arange(columns)
    values = np.stack([50 + 10 * np.sin(2 * np.pi * (t + 3 * row) / 24) for row in range(SERIES)])
    known, lives = values[:, None].astype(np.float32), np.arange(SERIES)
    return Grid(STEP, STEP * columns, lives, lives, known, known, np.zeros(known.shape, np.bool_))


@pytest.fixture
def demand() -> Demand:
    return prepare(grid(COLUMNS))


@pytest.fixture
def engine(demand: Demand) -> Engine:
    engine = Engine(Plan((5, 15), (0.5, 0.9), 1, 1440, 1441, 10))
    engine.arrange(np.full(SERIES, -1))
    for column in range(COLUMNS):
        engine.step(demand, column, column)
    return engine


@pytest.fixture
def training(engine: Engine) -> Iterator[Training]:
    config = ForecastConfig(step=STEP, arima=False, retrain_interval=100.0)
    training = Training(config, engine, time.monotonic)
    training.arrange(np.full(SERIES, -1))
    yield training
    training.close()


def passed(training: Training, demand: Demand, columns: int) -> None:
    """Begin a pass and take its answer."""
    training.turn(grid(columns), demand)
    assert training._trainer.busy
    ended = time.monotonic() + 120.0
    while training._trainer.busy and time.monotonic() < ended:
        training.turn(grid(columns), demand)
        time.sleep(0.1)


def test_the_child_trains_a_network_on_what_was_seen_and_goes_on_from_it_at_the_next_pass(
    engine: Engine, training: Training, demand: Demand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter.forecast.forests.FEWEST", 10**9)
    assert engine.network is None
    passed(training, demand, COLUMNS)
    assert engine.network is not None
    first = engine.network.readout
    assert np.abs(first).max() > 0.01
    assert engine.flat().memory.any()
    passed(training, demand, COLUMNS + 61)
    assert not np.array_equal(engine.network.readout, first)
    assert sum(training.health().failures.values()) == 0


def test_before_there_is_enough_to_learn_from_no_network_is_asked_for(engine: Engine, demand: Demand) -> None:
    assert networks.request(engine, demand, COLUMNS)
    assert networks.request(engine, prepare(grid(300)), COLUMNS) == {}
