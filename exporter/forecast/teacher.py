"""The training child's part in a trial: passes at times of the recording, as they might come live."""

import time

import numpy as np

from exporter.forecast import forests, networks
from exporter.forecast.demand import Demand
from exporter.forecast.engine import Engine
from exporter.forecast.exchange import NonsenseError
from exporter.forecast.trainer import Answer, Trainer, failed
from exporter.forecast.work import history, install, models, request
from exporter.history.windows import Integers

_TRAINING_SECONDS = 240.0
_PASSES_A_DAY = 4
_PASSES_APART = 0.2


class Teacher:
    """Has network and trees learn as often as pays on a recording; each pass gets an hour, as it might live.

    Passes are ``apart`` by this share of what was fed: the longer, the less one adds.
    """

    def __init__(self, engine: Engine, apart: float = _PASSES_APART) -> None:
        self._engine = engine
        self._apart = apart
        self._trainer = Trainer(_TRAINING_SECONDS, time.monotonic)
        self._began = 0

    def turn(self, fed: int, demand: Demand) -> None:
        """Take what is due after so many columns of ``demand`` were ``fed``, and begin anew where it is time."""
        day = self._engine.plan.day
        if self._trainer.busy and fed >= self._began + max(day // 24, 1):
            ended = self._trainer.wait()
            if isinstance(ended, Answer):
                self._adopt(ended, demand)
        if not self._trainer.busy and fed >= self._began + max(day / _PASSES_A_DAY, fed * self._apart):
            self._began = fed
            pooled = forests.request(self._engine) | networks.request(self._engine, demand, fed)
            if pooled:
                self._trainer.start(pooled | {"cpu_seconds": np.array(_TRAINING_SECONDS)})

    def _adopt(self, answer: Answer, demand: Demand) -> None:
        try:
            forests.install(self._engine, answer.arrays)
            networks.install(self._engine, demand, answer.arrays)
        except NonsenseError as error:
            failed("nonsense", answer.cpu_seconds, error=str(error))

    def close(self) -> None:
        """End the child, if one is at work."""
        self._trainer.close()


def fit_models(engine: Engine, demand: Demand, rows: Integers, column: int) -> None:
    """Let the child fit ARIMA to ``rows`` on what lies before ``column``."""
    before = demand.before(column)
    trainer = Trainer(_TRAINING_SECONDS, time.monotonic)
    trainer.start(request(engine, history(before, rows), rows, len(rows), _TRAINING_SECONDS))
    trained = trainer.wait()
    if isinstance(trained, Answer):
        try:
            fitted, found = models(trained.arrays, len(rows))
        except NonsenseError as error:
            failed("nonsense", trained.cpu_seconds, error=str(error))
        else:
            install(engine, before, rows[fitted], found)
