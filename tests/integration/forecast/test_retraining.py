import sys
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field

import numpy as np
import pytest

from exporter.forecast import training as training_module
from exporter.forecast.demand import Demand, prepare
from exporter.forecast.engine import Engine
from exporter.forecast.learning import Plan
from exporter.forecast.trainer import Trainer
from exporter.forecast.training import Training
from exporter.history.windows import Grid
from exporter.sections import ForecastConfig

STEP = 60.0
AHEAD = (5, 15)
SERIES = 4
LEARNED = 400
CHANGE = 420
COLUMNS = 740
INTERVAL = 3 * 3600.0
HANGS = "import time; time.sleep(600)"
GARBAGE = "print('nonsense')"
EXPLODES = """
import io, sys, numpy as np
from exporter.forecast import arima, exchange
model = arima.pack(0.0, np.array([1.5]), 0, np.array([]))[None]
row = np.array([0])
sys.stdout.buffer.write(exchange.write({"row": row, "model": model, "searched": row}))
"""
PARTLY = """
import sys, numpy as np
from exporter.forecast import arima, exchange
row = np.array([0])
model = arima.pack(25.0, np.array([0.5]), 0, np.array([]))[None]
extra = {extra}
sys.stderr.write("boosting failed: MemoryError()")
sys.stdout.buffer.write(exchange.write({{"row": row, "model": model, "searched": row, **extra}}))
"""
STRANGER = """
import sys, numpy as np
from exporter.forecast import arima, exchange
row = np.array([7])
model = arima.pack(0.0, np.array([0.5]), 0, np.array([]))[None]
sys.stdout.buffer.write(exchange.write({"row": row, "model": model, "searched": row}))
"""


def grid(values: np.ndarray, columns: int) -> Grid:
    """The first ``columns`` of ``values`` [series, time]."""
    lives = np.arange(len(values))
    known = values[:, None, :columns].astype(np.float32)
    return Grid(STEP, STEP * columns, lives, lives, known, known, np.zeros(known.shape, np.bool_))


def until(demand: Demand, now: int) -> Demand:
    cut = slice(None, now + 1)
    return Demand(demand.values[:, cut], demand.measured[:, cut], demand.low[:, cut], demand.high[:, cut], demand.first)


@dataclass
class Played:
    engine: Engine
    training: Training
    trainer: Trainer
    errors: list[float] = field(default_factory=list)
    """[time], of the medians, over all series and horizons"""
    retrained: list[int] = field(default_factory=list)
    """Columns at which a pass out of turn began."""

    def early(self) -> int:
        passes = self.training.health().passes
        return passes["drift"] + passes["reclaim"]

    def play(self, values: np.ndarray, trained: bool = True) -> None:
        """Go on through ``values``, column by column; each child is waited for, so that a pass takes no column."""
        demand = prepare(grid(values, values.shape[1]))
        for now in range(len(self.errors), values.shape[1]):
            due, early = self.engine.step(demand, now, now).due, self.early()
            self.errors.append(float(np.abs(due - values[:, now, None]).mean()))
            if trained:
                self.training.observe(due, demand, now)
                self.training.turn(grid(values, now + 1), until(demand, now))
                if self.trainer._running is not None:
                    self.trainer._running.process.wait(60)
            if self.early() > early:
                self.retrained.append(now)

    def mean(self, start: int | None, stop: int | None) -> float:
        return float(np.mean(self.errors[start:stop]))


def begin() -> Played:
    engine, every = Engine(Plan(AHEAD, (0.5, 0.9), 1, 1440, 1441, 10)), np.full(SERIES, -1)
    engine.arrange(every)
    trainer = Trainer(60.0, time.monotonic)
    training = Training(ForecastConfig(retrain_interval=INTERVAL), engine, time.monotonic, trainer)
    training.arrange(every)
    return Played(engine, training, trainer)


@pytest.fixture(scope="module")
def _habit() -> Iterator[Played]:
    played = begin()
    played.play(changed(rhythm(24), rhythm(24))[:, :LEARNED])
    yield played
    played.training.close()


@pytest.fixture
def habit(_habit: Played) -> Iterator[Played]:
    """What has learned the habit for two passes: the same for all tests, and each goes on with its own copy."""
    played = deepcopy(_habit)
    yield played
    played.training.close()


def rhythm(period: float) -> np.ndarray:
    return 50 + 20 * np.sin(2 * np.pi * (np.arange(COLUMNS) + 4 * np.arange(SERIES)[:, None]) / period)


def changed(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).normal(size=(SERIES, COLUMNS))
    return np.where(np.arange(COLUMNS) < CHANGE, before, after) + noise


def test_a_new_rhythm_is_forecast_well_again_within_two_retrainings_and_not_without(habit: Played) -> None:
    values, without = changed(rhythm(24), rhythm(37)), begin()
    habit.play(values)
    without.play(values, trained=False)
    before = without.mean(CHANGE - 100, CHANGE)
    assert habit.mean(CHANGE, CHANGE + 30) > 8 * before
    assert 1 <= len([at for at in habit.retrained if at >= CHANGE]) <= 2
    assert habit.mean(-80, None) < 2 * before
    assert without.mean(-80, None) > 3 * before


def test_use_that_falls_far_under_the_forecast_brings_training_forward_and_is_forecast_well_again(
    habit: Played,
) -> None:
    habit.play(changed(rhythm(24), np.full_like(rhythm(24), 10.0)))
    assert habit.early() >= 1
    assert habit.training.health().changed["reclaim"] >= 1
    assert habit.mean(-100, None) < 1.5 * habit.mean(CHANGE - 100, CHANGE)


def test_a_habit_that_stays_is_trained_on_schedule_alone(habit: Played) -> None:
    health = habit.training.health()
    assert health.passes == {"schedule": 2, "drift": 0, "reclaim": 0}
    assert health.changed == {"drift": 0, "reclaim": 0}
    assert sum(health.failures.values()) == 0
    assert health.cpu_seconds > 0
    assert not np.isnan(health.fitted)


@dataclass
class Trial:
    engine: Engine
    training: Training
    trainer: Trainer
    values: np.ndarray

    def turn(self, columns: int, later: float = 0.0) -> None:
        seen = grid(self.values, columns)
        now = Grid(STEP, seen.end + later, seen.lives, seen.workloads, seen.values, seen.ceilings, seen.censored)
        self.training.turn(now, prepare(seen))

    def finish(self) -> None:
        assert self.trainer._running is not None
        self.trainer._running.process.wait(30)


@pytest.fixture
def trial() -> Iterator[Callable[..., Trial]]:
    made: list[Trial] = []

    def run(script: str | None, now: list[float]) -> Trial:
        values = changed(rhythm(24), rhythm(24))[:2, :130]
        engine, demand = Engine(Plan((5,), (0.5, 0.9), 1, 1440, 1441, 10)), prepare(grid(values, 120))
        engine.arrange(np.array([-1, -1]))
        for column in range(120):
            engine.step(demand, column, column)
        command = {} if script is None else {"command": (sys.executable, "-c", script)}
        trainer = Trainer(60.0, lambda: now[0], **command)
        training = Training(ForecastConfig(retrain_interval=3600.0), engine, lambda: now[0], trainer)
        training.arrange(np.array([-1, -1]))
        made.append(Trial(engine, training, trainer, values))
        return made[-1]

    yield run
    for each in made:
        each.training.close()


def test_a_pass_is_started_without_waiting_and_its_models_serve(trial: Callable[..., Trial]) -> None:
    tried = trial(None, [0.0])
    began = time.monotonic()
    tried.turn(120)
    assert time.monotonic() - began < 1.0
    tried.finish()
    tried.turn(121)
    assert not np.isnan(tried.engine.state.model).any()
    assert tried.training.health().fitted == STEP * 121


@pytest.mark.parametrize(("script", "reason"), [(GARBAGE, "nonsense"), (EXPLODES, "nonsense"), (STRANGER, "nonsense")])
def test_after_nonsense_the_old_models_serve_an_error_is_counted_and_the_next_try_waits(
    trial: Callable[..., Trial], script: str, reason: str
) -> None:
    tried = trial(script, [0.0])
    tried.engine.state.model[:] = old = np.arange(11.0) / 100
    tried.turn(120)
    tried.finish()
    tried.turn(120)
    assert tried.training.health().failures[reason] == 1
    assert np.isnan(tried.training.health().fitted)
    assert (tried.engine.state.model == old).all()
    tried.turn(120, later=599.0)
    assert not tried.trainer.busy
    tried.turn(120, later=3600.0)
    assert tried.trainer.busy


@pytest.mark.parametrize(
    ("extra", "reason"),
    [("{'failed': np.array(['boosting'])}", "died"), ("{'network/readout': np.zeros((1, 1))}", "nonsense")],
)
def test_a_part_that_failed_is_counted_and_the_other_parts_serve(
    trial: Callable[..., Trial], capsys: pytest.CaptureFixture[str], extra: str, reason: str
) -> None:
    tried = trial(PARTLY.format(extra=extra), [0.0])
    tried.turn(120)
    tried.finish()
    tried.turn(120)
    health = tried.training.health()
    assert health.failures == {"start": 0, "deadline": 0, "died": 0, "nonsense": 0} | {reason: 1}
    assert np.isnan(health.fitted)
    assert np.isfinite(tried.engine.state.model).all(axis=2).sum() == 1
    assert ("MemoryError" in capsys.readouterr().out) == (reason == "died")


def test_a_killed_child_is_counted_and_the_old_models_serve(trial: Callable[..., Trial]) -> None:
    tried = trial(HANGS, [0.0])
    tried.turn(120)
    assert tried.trainer._running is not None
    tried.trainer._running.process.kill()
    tried.finish()
    tried.turn(120)
    assert tried.training.health().failures == {"start": 0, "deadline": 0, "died": 1, "nonsense": 0}


def test_a_child_that_hangs_is_killed_and_counted(trial: Callable[..., Trial]) -> None:
    now = [0.0]
    tried = trial(HANGS, now)
    tried.turn(120)
    assert tried.trainer._running is not None
    process = tried.trainer._running.process
    now[0] = 1000.0
    tried.turn(120)
    assert process.poll() == -9
    assert tried.training.health().failures["deadline"] == 1


def test_models_of_a_container_that_went_meanwhile_are_left_out(trial: Callable[..., Trial]) -> None:
    tried = trial(None, [0.0])
    tried.turn(120)
    tried.finish()
    rows = np.array([1, -1])
    tried.engine.arrange(rows)
    tried.training.arrange(rows)
    seen = grid(tried.values, 121)
    lives = np.array([1, 9])
    now = Grid(STEP, seen.end, lives, lives, seen.values[[1, 0]], seen.ceilings[[1, 0]], seen.censored[[1, 0]])
    tried.training.turn(now, prepare(now))
    assert np.isnan(tried.engine.state.model).any(axis=2).ravel().tolist() == [False, True]


def test_without_pmdarima_known_orders_are_fitted_and_one_line_says_so(
    trial: Callable[..., Trial], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(training_module.importlib.util, "find_spec", lambda name: None)
    tried = trial(None, [0.0])
    tried.engine.state.model[0] = np.array([20.0, 0.6, *[0.0] * 9])
    for _ in range(2):
        tried.turn(120)
        if tried.trainer.busy:
            tried.finish()
    assert capsys.readouterr().out.count("pmdarima is not installed") == 1
    assert tried.training.health().failures["died"] == 0
    assert tried.engine.state.model[0, 0, 1] != 0.6
    assert np.isnan(tried.engine.state.model[1]).all()
