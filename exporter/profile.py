"""State and history → the Container Personality Profile of one container."""

import numpy as np
from numpy.typing import NDArray

from exporter.config import Config
from exporter.document import (
    ForecastPoint,
    InterferencePotential,
    Point,
    PredictedMetrics,
    Profile,
    RuntimeMetrics,
)
from exporter.durations import format_duration
from exporter.history.signals import COLUMN, LEVELS, RESOURCES
from exporter.history.store import History
from exporter.state import State

_SEEN = {
    "cpu_usage": "cpu",
    "memory_usage": "memory",
    "network_io": "network_io",
    "disk_io": "disk_io",
    "process_count": "processes",
    "thread_count": "threads",
    "file_descriptors": "file_descriptors",
}
_FORECAST = {
    "cpu_usage": "cpu",
    "memory_usage": "memory",
    "network_io": "network_io",
    "disk_io": "disk_io",
    "file_descriptors": "file_descriptors",
    "threads": "threads",
}


def build_profile(row: int, state: State, history: History, config: Config, window: float) -> Profile:
    """Return the profile of the container in ``row`` of the state, with ``window`` seconds of its past.

    The history must not change meanwhile.
    """
    identity, scores = state.snapshot.identities[row], state.scores
    return Profile(
        name=identity.container or identity.pod,
        container_id=identity.container_id,
        workload=identity.workload,
        runtime_metrics=_runtime(row, state, history, config, window),
        predicted_metrics=_predicted(row, state, config),
        interference_potential=InterferencePotential(
            cpu_bursts=_known(scores.cpu_burst[row]),
            memory_leaks=_known(scores.memory_leak[row]),
            network_flooding=_known(scores.network_flood[row]),
        ),
        security_risk_score=_known(scores.security_risk[row]),
        policy_violations=[],
        profile_finished=bool(scores.profile_finished[row]),
        reasons=list(scores.reasons[row]),
    )


def _runtime(row: int, state: State, history: History, config: Config, window: float) -> RuntimeMetrics:
    columns = max(1, round(window / config.interval))
    past = history.window(state.snapshot).signals[row, :, -columns:]
    at = state.snapshot.at - config.interval * np.arange(past.shape[1] - 1, -1, -1)
    calls = history.followed(row)[:, -columns:]
    slots, names = state.snapshot.followed[row], state.snapshot.syscalls.names
    followed = [(names[call], slot) for slot, call in enumerate(slots.tolist()) if call >= 0]
    return RuntimeMetrics(
        **{key: _points(at, past[COLUMN[signal]]) for key, signal in _SEEN.items()},
        api_call_frequency={name: _points(at, calls[slot]) for name, slot in followed},
    )


def _predicted(row: int, state: State, config: Config) -> PredictedMetrics:
    horizons = config.forecast.horizons
    return PredictedMetrics(
        **{
            key: [
                _forecast_point(state.snapshot.at, horizon, state.quantiles[row, RESOURCES.index(resource), index])
                for index, horizon in enumerate(horizons)
                if np.isfinite(state.quantiles[row, RESOURCES.index(resource), index]).all()
            ]
            for key, resource in _FORECAST.items()
        }
    )


def _forecast_point(now: float, horizon: float, values: NDArray[np.float32]) -> ForecastPoint:
    return ForecastPoint(
        timestamp=now + horizon,
        value=float(values[0]),
        horizon=format_duration(horizon),
        quantiles={f"{level:g}": float(value) for level, value in zip(LEVELS, values, strict=True)},
    )


def _points(at: NDArray[np.float64], values: NDArray[np.float32]) -> list[Point]:
    seen = np.isfinite(values)
    return [Point(timestamp=t, value=v) for t, v in zip(at[seen].tolist(), values[seen].tolist(), strict=True)]


def _known(score: np.floating) -> float:
    return float(np.clip(np.nan_to_num(score), 0, 1))
