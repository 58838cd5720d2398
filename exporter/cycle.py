"""Remember → forecast → assess → publish: one turn of the exporter, driven by the clock it is given."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.assess.assessor import Assessor
from exporter.assess.scores import Scores
from exporter.config import Config
from exporter.forecast.forecaster import Forecast, Forecaster
from exporter.history.identity import Identity
from exporter.history.signals import LEVELS, RESOURCES, SIGNALS
from exporter.history.snapshot import Snapshot
from exporter.history.store import History
from exporter.history.windows import Floats, Grid
from exporter.persist.arrays import Arrays, MismatchError, exported, within
from exporter.persist.keeper import Keeper
from exporter.publish.page import Publisher
from exporter.sources.exposition import Samples
from exporter.sources.pods import Pods
from exporter.state import SourceState, State, align, take

_YOUNG = 5
"""Steps after which a container has a past of its own."""


@dataclass(frozen=True)
class Readings:
    """What the sources gave in one cycle; None where one could not be read."""

    cadvisor: Samples | None
    probe: Samples | None
    pods: Pods | None = None
    """As last known; None until then, and where there is no kubelet."""


class Cycle:
    """Holds what is learned. ``lock`` guards the history against readers while a cycle changes it."""

    def __init__(self, config: Config) -> None:
        self.publisher = Publisher(config)
        self.lock = threading.Lock()
        self._config = config
        self._keeper = Keeper(config.state, _made_with(config))
        self._begin()

    def _begin(self) -> None:
        """Know nothing."""
        config = self._config
        self.history = History(config)
        self.state: State | None = None
        self._forecaster = Forecaster(config.forecast)
        self._assessor = Assessor(config.assess, config.interval)
        self._forecast: Forecast | None = None
        self._steps = 0
        self._untried = False
        """Whether no turn has succeeded yet on what was remembered."""
        self._remembered = 0.0
        """Until when the past is known without asking, epoch seconds."""

    def _begin_anew(self) -> None:
        """Know nothing any more."""
        self._forecaster.close()
        with self.lock:
            self._begin()

    def resume(self, now: float) -> float | None:
        """Go on from what was saved, before the first turn; return when that was, or None to learn anew."""
        return self._keeper.load(lambda arrays, at: self._restore(arrays, at, now), now)

    def fill(self, read: Callable[[History, float], object]) -> None:
        """Let ``read`` fill in what is not remembered: the past after the epoch seconds that it is given."""
        with self._keeper.turn():
            read(self.history, self._remembered)

    def strangers(self) -> dict[str, Identity]:
        """Return, by workload, who in pods finds nobody here who could tell anything: none was here for some steps."""
        identities = self.history.registry.identities
        if not any(who.pod for who in identities):
            return {}
        grid = self.history.grid()
        older = grid.values[:, :, -3 * _YOUNG : -_YOUNG]
        known = set(grid.workloads[~np.isnan(older).all(axis=(1, 2))].tolist())
        rows = zip(identities, grid.workloads.tolist(), strict=True)
        return {
            who.workload: who for who, n in rows if who.pod and n not in known and not self._forecaster.remembers(n)
        }

    def receive(self, workload: str, past: Grid) -> None:
        """Let containers of ``workload``, new on this node, go on from what others of it did elsewhere."""
        with self._keeper.turn(), self.lock:
            self._forecaster.receive(self.history.registry.begin_anew(workload), past)

    def learn(self, readings: Readings, now: float) -> tuple[Snapshot, Scores]:
        """Remember ``readings`` and score all containers."""
        snapshot = self.history.update(readings.cadvisor, readings.probe, now, readings.pods)
        return snapshot, self._assessor.assess(self.history.window(snapshot))

    def run(self, readings: Readings, sources: tuple[SourceState, ...], now: float) -> State:
        """Take one cycle's readings through all rooms; return the state that was published."""
        if self._keeper.ripe(now):
            self._begin_anew()
            self.resume(now)
        with self._keeper.turn():
            try:
                state = self._turn(readings, sources, now)
            except Exception as error:  # what was remembered may be at fault: it must not fail every turn from now on
                if self._untried:
                    self._begin_anew()
                    self._keeper.reject(repr(error))
                raise
        self._untried = False
        self._keeper.offer(self._export, now)
        return state

    def _turn(self, readings: Readings, sources: tuple[SourceState, ...], now: float) -> State:
        wall, cpu = time.perf_counter(), time.process_time()
        with self.lock:
            snapshot, scores = self.learn(readings, now)
            self.state = self._gather(snapshot, scores, sources)
        if self._forecast_anew():
            self.state = self._gather(snapshot, scores, sources)
        self.publisher.publish(self.state, wall, cpu)
        return self.state

    def forget_state(self) -> None:
        """Serve nothing rather than what is no longer true, until a turn succeeds again."""
        with self.lock:
            self.state = None
            self.publisher.page = b""

    def close(self) -> None:
        """End the training child, if one runs, and save what was learned."""
        self._forecaster.close()
        if self.state is not None:
            self._keeper.close(self._export, self.history.at)

    def _export(self) -> dict[str, NDArray[Any]]:
        return exported(self._parts())

    def _parts(self) -> dict[str, History | Forecaster | Assessor]:
        return {"history": self.history, "forecast": self._forecaster, "assess": self._assessor}

    def _restore(self, arrays: Arrays, at: float, now: float) -> None:
        """Take back what was saved ``at``; know nothing and raise MismatchError where anything does not fit."""
        try:
            self.history.restore(within("history", arrays), at, now)
            self._forecaster.restore(within("forecast", arrays))
            self._assessor.restore(within("assess", arrays))
        except Exception as error:  # arrays may fit one by one and not together, in any way; nothing of them may stay
            self._begin_anew()
            raise MismatchError(str(error) or repr(error)) from error
        self._steps, self._untried, self._remembered = -1, True, at

    def _forecast_anew(self) -> bool:
        """Forecast where a step of the history has ended since the last time; return whether one had.

        After a restart what was forecast before is said again at once.
        """
        if self.history.steps == self._steps:
            return False
        self._steps = self.history.steps
        self._forecast = self._forecaster.observe(self.history.grid())
        return True

    def _gather(self, snapshot: Snapshot, scores: Scores, sources: tuple[SourceState, ...]) -> State:
        forecast, registry = self._forecast, self.history.registry
        count, horizons = len(snapshot.lives), len(self._config.forecast.horizons)
        shape = (count + 1, len(RESOURCES), horizons)
        quantiles = np.full((*shape, len(LEVELS)), np.nan, np.float32)
        due, trusted = np.full(shape, np.nan, np.float32), np.zeros(shape[:2], np.bool_)
        if forecast is not None:
            positions = align(forecast.lives, registry.lives)
            quantiles, due = take(forecast.quantiles, positions), take(forecast.due, positions)
            trusted = forecast.trusted[np.maximum(positions, 0)] & (positions >= 0)[:, None]
        return State(
            snapshot=snapshot,
            scores=scores,
            forecast=forecast,
            quantiles=quantiles[1:],
            due=due[1:],
            trusted=trusted[1:],
            node_quantiles=_possible(quantiles[0], snapshot),
            workload_names=registry.workload_names(),
            sources=sources,
        )


def _possible(quantiles: Floats, snapshot: Snapshot) -> Floats:
    """Cap the node's forecast [resources, ...] at what it has: more than that cannot be used."""
    capacity = np.full((len(RESOURCES), 1, 1), np.inf, np.float32)
    capacity[RESOURCES.index("cpu")] = snapshot.node_cpu
    capacity[RESOURCES.index("memory")] = snapshot.node_memory
    return np.fmin(quantiles, capacity)


def _made_with(config: Config) -> dict[str, Any]:
    """Return what gives the saved arrays their shape and meaning."""
    return {
        "interval": config.interval,
        "history.window": config.history.window,
        "history.forecast_window": config.history.forecast_window,
        "forecast.step": config.forecast.step,
        "forecast.horizons": config.forecast.horizons,
        "levels": LEVELS,
        "signals": SIGNALS,
    }
