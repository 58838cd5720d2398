"""Our own forecast on recorded series, and the cases that peers are then asked about."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from forecast_score import Doubles
from numpy.typing import NDArray

import exporter.forecast
from exporter.forecast import child, forests, networks, trial
from exporter.forecast.demand import Demand
from exporter.forecast.engine import Engine
from exporter.forecast.plan import Plan
from exporter.forecast.recordings import Recording, clusters
from exporter.history.signals import LEVELS, RESOURCES
from exporter.sources.files import RecordingError

Places = NDArray[np.int64]

HORIZONS = (300.0, 900.0, 1800.0)
_SPLIT = 0.6
_AHEAD = (5, 15, 30)
_DAY = 1440
_CONTAINERS = 500
_STEPS = 60
_MEASURED = 8


@dataclass(frozen=True)
class Case:
    """One series with what we said, what came, and what a peer may see."""

    name: str
    values: Doubles
    """[columns], even steps, gaps filled with the last value"""
    step: float
    """Seconds."""
    origins: Places
    """[origins], columns"""
    ahead: tuple[int, ...]
    """Columns."""
    actual: Doubles
    """[origins, horizons]"""
    scale: Doubles
    """[horizons], mean absolute change over the horizon before the split"""
    ours: Doubles
    """[origins, horizons, levels]"""


def cases(recordings: list[Recording], origins: int, cache: Path) -> list[Case]:
    """Return a case per recording that reaches far enough; what this code once said of it is read from ``cache``."""
    design = trial.Design(HORIZONS, LEVELS, origins, _SPLIT)
    found: list[Case] = []
    for group in clusters([recording for recording in recordings if _reaches(recording, design)]):
        found += [
            _case(recording, result) for recording, result in zip(group, _tried(group, design, cache), strict=True)
        ]
    return found


def _reaches(recording: Recording, design: trial.Design) -> bool:
    try:
        trial.targets(recording, design)
    except RecordingError:
        return False
    return True


def _tried(group: list[Recording], design: trial.Design, cache: Path) -> list[trial.Result]:
    path = cache / f"ours-{_key(group, design)}.npz"
    if not path.exists():
        partial = path.with_suffix(".tmp.npz")
        results = trial.run(group, design, lambda _: None)
        fields = ("origins", "last", "actual", "forecast", "scale")
        np.savez(partial, **{f"{field}{i}": getattr(r, field) for i, r in enumerate(results) for field in fields})
        partial.replace(path)
    held = np.load(path)
    return [
        trial.Result(
            recording.name,
            *(held[f"{field}{i}"] for field in ("origins", "last", "actual", "forecast", "scale")),
        )
        for i, recording in enumerate(group)
    ]


def _key(group: list[Recording], design: trial.Design) -> str:
    """Return a name for these series, this design and the code of the forecast as it stands."""
    digest = hashlib.sha256(repr(design).encode())
    for path in sorted(Path(exporter.forecast.__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    for recording in group:
        digest.update(recording.name.encode() + recording.timestamps.tobytes() + recording.values.tobytes())
    return digest.hexdigest()[:24]


def _case(recording: Recording, result: trial.Result) -> Case:
    columns = recording.columns - recording.columns[0]
    newest = np.searchsorted(columns, np.arange(columns[-1] + 1), side="right") - 1
    origins = np.rint(result.origins / recording.step).astype(np.int64) - recording.columns[0]
    ahead = tuple(max(round(horizon / recording.step), 1) for horizon in HORIZONS)
    ours, scale = result.forecast, result.scale
    return Case(recording.name, recording.values[newest], recording.step, origins, ahead, result.actual, scale, ours)


def _teach(engine: Engine, demand: Demand, column: int) -> None:
    """Give ``engine`` trees and a network, as large as any: a step costs the same whatever they learned."""
    asked = forests.request(engine) | networks.request(engine, demand, column)
    answer = child.serve(asked | {"seconds": np.array(600.0), "cpu_seconds": np.array(600.0)})
    forests.install(engine, answer)
    networks.install(engine, demand, answer)
    if None in engine.forests or engine.network is None:
        raise RuntimeError("no trees or no network: the cost of a step would be told too low")


def step_cost(made_from: Sequence[Doubles]) -> float:
    """Return the CPU seconds of one step for a node of 500 containers with a day of minutes like ``made_from``."""
    series, width = _CONTAINERS * len(RESOURCES), _DAY + _STEPS
    random = np.random.default_rng(5)
    values = np.stack([np.resize(made_from[i % len(made_from)], width) for i in range(series)])
    noisy = np.asarray(values * random.normal(1, 0.02, values.shape), np.float32)
    demand = Demand(noisy, np.ones(noisy.shape, np.bool_), noisy, noisy, np.zeros(series, np.int64))
    engine = Engine(Plan.of(HORIZONS, LEVELS, len(RESOURCES), 60.0))
    engine.arrange(np.full(_CONTAINERS, -1, np.int64))
    taken = []
    for column in range(_DAY, width):
        if column == width - _MEASURED:
            _teach(engine, demand, column)
        started = time.process_time()
        engine.step(demand, column, column)
        taken.append(time.process_time() - started)
    return float(np.mean(taken[-_MEASURED:]))
