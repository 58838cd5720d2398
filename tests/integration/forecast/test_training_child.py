import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pmdarima
import pytest

from exporter.forecast import arima, exchange
from exporter.forecast.fitting import describe
from exporter.forecast.trainer import Answer, Failure, Trainer

GARBAGE = "import sys; sys.stdout.buffer.write(b'PK nonsense')"
HANGS = "import time; time.sleep(600)"
FAILS = "raise SystemExit('no memory left')"


def autoregression(columns: int, level: float = 50.0) -> np.ndarray:
    shocks = np.random.default_rng(1).normal(size=columns)
    values = np.zeros(columns)
    for t in range(2, columns):
        values[t] = 0.6 * values[t - 1] + 0.2 * values[t - 2] + shocks[t] + 0.5 * shocks[t - 1]
    return level + 7 * values


def asked(series: np.ndarray, searches: int, order: tuple[int, int, int] = (-1, -1, -1)) -> exchange.Arrays:
    return {
        "series": series.astype(np.float32),
        "order": np.tile(np.array(order, np.int64), (len(series), 1)),
        "searches": np.array(searches),
        "cpu_seconds": np.array(60.0),
    }


@pytest.fixture
def started() -> Iterator[Callable[..., Trainer]]:
    trainers: list[Trainer] = []

    def start(series: np.ndarray, searches: int, *order: int, script: str = "", seconds: float = 60.0) -> Trainer:
        command = {"command": (sys.executable, "-c", script)} if script else {}
        trainers.append(Trainer(seconds, time.monotonic, **command))
        trainers[-1].start(asked(series, searches, *([order] if order else [])))
        return trainers[-1]

    yield start
    for trainer in trainers:
        trainer.close()


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


def test_the_child_searches_the_first_series_and_fits_known_orders_to_the_others(
    started: Callable[..., Trainer],
) -> None:
    series = np.stack([autoregression(120), autoregression(120)[::-1], autoregression(120)])
    answer = started(series, 1, 1, 0, 0).wait()
    assert isinstance(answer, Answer)
    assert answer.arrays["searched"].tolist() == [0]
    assert answer.arrays["row"].tolist() == [0, 1, 2]
    assert arima.orders(answer.arrays["model"])[1:].tolist() == [[1, 0, 0], [1, 0, 0]]
    assert answer.cpu_seconds > 0.1


def test_series_without_an_order_that_are_not_searched_get_no_model(started: Callable[..., Trainer]) -> None:
    answer = started(autoregression(120)[None], 0).wait()
    assert isinstance(answer, Answer)
    assert answer.arrays["row"].size == 0


def test_constant_series_come_back_without_a_model(started: Callable[..., Trainer]) -> None:
    answer = started(np.ones((1, 100)), 1).wait()
    assert isinstance(answer, Answer)
    assert answer.arrays["row"].size == 0


def test_the_child_comes_to_its_end_when_its_time_is_up(started: Callable[..., Trainer]) -> None:
    answer = started(np.tile(autoregression(400), (200, 1)), 200, seconds=4.0).wait()
    assert isinstance(answer, Answer)
    assert 0 < len(answer.arrays["searched"]) < 200


def test_a_killed_child_is_a_failure(started: Callable[..., Trainer], capsys: pytest.CaptureFixture[str]) -> None:
    trainer = started(np.tile(autoregression(400), (50, 1)), 50)
    assert trainer._running is not None
    trainer._running.process.kill()
    ended = trainer.wait()
    assert isinstance(ended, Failure)
    assert ended.reason == "died"
    assert not trainer.busy
    assert "training failed" in capsys.readouterr().out


def test_a_child_that_hangs_is_ended_after_its_deadline() -> None:
    now = [0.0]
    trainer = Trainer(60.0, lambda: now[0], command=(sys.executable, "-c", HANGS))
    trainer.start(asked(autoregression(100)[None], 1))
    assert trainer._running is not None
    process = trainer._running.process
    now[0] = 89.0
    assert trainer.poll() is None
    now[0] = 91.0
    ended = trainer.poll()
    assert isinstance(ended, Failure)
    assert ended.reason == "deadline"
    assert process.returncode == -9
    assert not trainer.busy


@pytest.mark.parametrize(
    ("script", "reason"), [(GARBAGE, "nonsense"), (FAILS, "died"), ("", "nonsense"), ("import os; os.abort()", "died")]
)
def test_a_child_that_talks_nonsense_or_fails_is_a_failure(
    started: Callable[..., Trainer], script: str, reason: str
) -> None:
    ended = started(autoregression(100)[None], 1, script=script or "pass").wait()
    assert isinstance(ended, Failure)
    assert ended.reason == reason


def test_a_child_that_cannot_be_started_is_a_failure(tmp_path: Path) -> None:
    trainer = Trainer(60.0, time.monotonic, command=(str(tmp_path / "absent"),))
    trainer.start(asked(autoregression(100)[None], 1))
    assert trainer.busy
    ended = trainer.poll()
    assert isinstance(ended, Failure)
    assert ended.reason == "start"
    assert not trainer.busy


def test_an_answer_of_another_version_is_not_believed(
    started: Callable[..., Trainer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "VERSION", exchange.VERSION + 1)
    ended = started(autoregression(100)[None], 1).wait()
    assert isinstance(ended, Failure)
