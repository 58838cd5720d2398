"""The CPP document: its keys are the specification's; docs/profile.schema.json is generated from here."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

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
