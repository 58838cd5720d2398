"""The Container Personality Profile of one container, as a JSON document."""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from exporter.config import Config
from exporter.durations import format_duration
from exporter.history.signals import COLUMN, LEVELS, RESOURCES
from exporter.history.store import History
from exporter.state import State

Ratio = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Point(_Part):
    """A value at a time."""

    timestamp: float
    """Epoch seconds."""
    value: float
    """In the unit of the series."""


class ForecastPoint(Point):
    """A forecast; ``value`` is the median."""

    horizon: str
    """How far ahead it looks, for example 5m."""
    quantiles: dict[str, float]
    """Value at each quantile."""


class RuntimeMetrics(_Part):
    """What was seen, oldest first."""

    cpu_usage: list[Point]
    """Cores."""
    memory_usage: list[Point]
    """Working set, bytes."""
    network_io: list[Point]
    """Bytes per second, both directions."""
    disk_io: list[Point]
    """Bytes per second, both directions."""
    process_count: list[Point]
    """Processes."""
    thread_count: list[Point]
    """Threads."""
    file_descriptors: list[Point]
    """Open descriptors."""
    api_call_frequency: dict[str, list[Point]]
    """Calls per second, by system call."""


class PredictedMetrics(_Part):
    """What is forecast, nearest horizon first."""

    cpu_usage: list[ForecastPoint]
    """Cores."""
    memory_usage: list[ForecastPoint]
    """Working set, bytes."""
    network_io: list[ForecastPoint]
    """Bytes per second."""
    disk_io: list[ForecastPoint]
    """Bytes per second."""
    file_descriptors: list[ForecastPoint]
    """Descriptors."""
    threads: list[ForecastPoint]
    """Threads."""


class InterferencePotential(_Part):
    """How it may disturb its neighbours."""

    cpu_bursts: Ratio
    """Sudden bursts of CPU."""
    memory_leaks: Ratio
    """Memory that grows without end."""
    network_flooding: Ratio
    """Floods of traffic."""


class PolicyViolation(_Part):
    """A co-tenancy policy that it breaks."""

    timestamp: float
    """When it was seen, epoch seconds."""
    policy_id: str
    """Name of the policy."""
    severity: str
    """As the policy says."""


class Profile(_Part):
    """The Container Personality Profile."""

    name: str
    """Name of the container."""
    container_id: str
    """Its id; empty where the platform has none."""
    workload: str
    """What it is a replica of."""
    runtime_metrics: RuntimeMetrics
    """What was seen."""
    predicted_metrics: PredictedMetrics
    """What is forecast."""
    interference_potential: InterferencePotential
    """How it may disturb its neighbours."""
    security_risk_score: Ratio
    """How risky its behaviour looks."""
    policy_violations: list[PolicyViolation]
    """Policies broken now."""
    profile_finished: bool
    """Whether its behaviour was watched long enough to be judged."""
    reasons: list[str]
    """Why its scores are high, the strongest first."""


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
    calls = history.followed()[row, :, -columns:]
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
