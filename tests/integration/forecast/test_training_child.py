import time
from collections.abc import Iterator

import numpy as np
import pmdarima
import pytest

from exporter.config import ForecastConfig
from exporter.forecast import arima
from exporter.forecast.child import describe
from exporter.forecast.demand import prepare
from exporter.forecast.engine import Engine
from exporter.forecast.learning import Plan
from exporter.forecast.trainer import Trainer
from exporter.forecast.training import Training
from exporter.history.windows import Grid


def autoregression(columns: int, level: float = 50.0) -> np.ndarray:
    shocks = np.random.default_rng(1).normal(size=columns)
    values = np.zeros(columns)
    for t in range(2, columns):
        values[t] = 0.6 * values[t - 1] + 0.2 * values[t - 2] + shocks[t] + 0.5 * shocks[t - 1]
    return level + 7 * values


@pytest.fixture
def trainer() -> Iterator[Trainer]:
    made = Trainer(60.0, time.monotonic)
    yield made
    made.close()


@pytest.mark.parametrize("order", [(2, 0, 1), (1, 1, 1), (0, 2, 1)])
def test_the_recursion_agrees_with_pmdarima(order: tuple[int, int, int]) -> None:
    values = np.cumsum(autoregression(300)) if order[1] == 2 else autoregression(300)
    centre, unit = values.mean(), values.std()
    fitted = pmdarima.ARIMA(order=order, suppress_warnings=True).fit((values - centre) / unit)
    model = arima.unpack(describe(fitted, centre, unit)[None])
    shocks = arima.warm_up(model, values[None], 299, 290)
    ours = arima.forecast(model, values[None], shocks, 299, (1, 5, 30))[0]
    theirs = fitted.predict(30)[[0, 4, 29]] * unit + centre
    assert ours == pytest.approx(theirs, abs=1e-3 * unit)


def test_the_child_answers_with_a_model_for_each_series(trainer: Trainer) -> None:
    trainer.start(np.stack([autoregression(120), autoregression(120)[::-1]]))
    trained = trainer.wait()
    assert trained is not None
    assert trained.row.tolist() == [0, 1]
    assert np.isfinite(trained.model).all()


def test_constant_series_come_back_without_a_model(trainer: Trainer) -> None:
    trainer.start(np.ones((1, 100), np.float32))
    trained = trainer.wait()
    assert trained is not None
    assert trained.row.size == 0


def test_a_killed_child_is_harmless(trainer: Trainer, capsys: pytest.CaptureFixture[str]) -> None:
    trainer.start(np.tile(autoregression(400), (50, 1)).astype(np.float32))
    assert trainer._running is not None
    trainer._running.process.kill()
    assert trainer.wait() is None
    assert not trainer.busy
    assert "training child failed" in capsys.readouterr().out


def test_a_child_past_its_deadline_is_ended() -> None:
    now = [0.0]
    trainer = Trainer(60.0, lambda: now[0])
    trainer.start(np.tile(autoregression(400), (50, 1)).astype(np.float32))
    assert trainer.poll() is None
    now[0] = 1000.0
    trainer.poll()
    assert trainer._running is not None
    assert trainer._running.process.wait(10) != 0
    assert trainer.poll() is None
    assert not trainer.busy


def test_a_pass_is_started_without_waiting_and_its_models_serve() -> None:
    values = autoregression(120).astype(np.float32)[None, None]
    lives = np.zeros(1, np.int64)
    grid = Grid(60.0, 7200.0, lives, lives, values, values, np.zeros(values.shape, np.bool_))
    engine, demand = Engine(Plan((5,), (0.5, 0.9), 1, 1440, 1441)), prepare(grid)
    engine.arrange(np.array([-1]))
    for column in range(120):
        engine.step(demand, column, column)
    training = Training(ForecastConfig(retrain_interval=60.0), engine, time.monotonic)
    began = time.monotonic()
    training.turn(grid, demand)
    assert time.monotonic() - began < 1.0
    deadline = time.monotonic() + 60
    while np.isnan(engine.state.model).any() and time.monotonic() < deadline:
        time.sleep(0.1)
        training.turn(grid, demand)
    training.close()
    assert not np.isnan(engine.state.model).any()
