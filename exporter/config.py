"""Configuration of cpp-exporter: a YAML file, every key optional, unknown keys refused in one line."""

import math
import os
import re
import socket
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from exporter.durations import Duration, format_duration

_FEWEST_CYCLES = 10
_MOST_HORIZONS = 3
"""Each costs 24 of the 120 series that a container may have."""
_ROUNDING = 1e-9
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class ConfigError(Exception):
    """One line that names the file, the key and the remedy."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


class SourceConfig(_Section):
    """Where a source's exposition text is read."""

    url: str
    """Address of the text, for example http://127.0.0.1:8080/metrics."""
    timeout: Duration = 5.0
    """How long one read may take."""
    token_file: Path | None = None
    """File with a bearer token, sent with each read; read again when it changes."""
    ca_file: Path | None = None
    """Certificates of the authority that an https address is trusted by; null for those that the host trusts."""
    verify: bool = True
    """Whether an https address must show a trusted certificate; without it the token is shown to whoever answers."""


class KubeletConfig(SourceConfig):
    """Where a kubelet tells which pods its node runs: their owners, annotations and requests."""

    refresh: Duration = 30.0
    """Longest time between two reads; a container that comes or goes causes one at once."""


class BackfillConfig(_Section):
    """Past usage read once from Prometheus at start, so that a restart forgets nothing."""

    url: str
    """Address of Prometheus, for example http://127.0.0.1:9090."""
    window: Duration = 86400.0
    """How far back to read."""
    timeout: Duration = 30.0
    """How long all reads together may take; what came until then is used."""


class SourcesConfig(_Section):
    """What is read."""

    cadvisor: SourceConfig = SourceConfig(url="http://127.0.0.1:8080/metrics")
    """cAdvisor, or a kubelet's /metrics/cadvisor."""
    probe: SourceConfig | None = SourceConfig(url="http://127.0.0.1:17901/metrics")
    """cpp-probe; null to do without kernel counters."""
    kubelet: KubeletConfig | None = None
    """On Kubernetes the kubelet's /pods; null elsewhere."""
    prometheus: BackfillConfig | None = None
    """Prometheus to fill the history from at start; null to start empty."""


class HistoryConfig(_Section):
    """How much is remembered of each container, whatever the churn."""

    window: Duration = 3600.0
    """Span kept at the cycle's interval, for scores and /profiles; at least ten intervals."""
    forecast_window: Duration = 86400.0
    """Span kept at forecast.step, for the forecast; at least twice the longest horizon."""
    max_containers: int = Field(default=1000, ge=1)
    """Rows set aside; containers beyond it are left out and counted in cpp_dropped_series_total."""


class ForecastConfig(_Section):
    """What is forecast, and when models are trained anew."""

    step: Duration = 60.0
    """Spacing of the history that models see; horizons are multiples of it."""
    horizons: tuple[Duration, ...] = (300.0, 900.0, 1800.0)
    """How far ahead, one to three of them."""
    retrain_interval: Duration = 3600.0
    """Time between two training passes of the child process."""
    arima: bool = True
    """Let the training child fit ARIMA by pmdarima; needs the exporter extra."""
    max_series_per_training: int = Field(default=200, ge=0)
    """ARIMA order searches a pass, worst loss first."""
    min_history: Duration = 1800.0
    """Measured forecasts needed over this span before a forecast may be trusted."""


class ThresholdsConfig(_Section):
    """Where a score becomes an alarm; served as cpp_alarm_threshold_ratio, which the rules compare with."""

    cpu_burst: float = Field(default=0.8, gt=0, le=1)
    """cpp_cpu_burst_ratio."""
    memory_leak: float = Field(default=0.8, gt=0, le=1)
    """cpp_memory_leak_ratio."""
    network_flood: float = Field(default=0.8, gt=0, le=1)
    """cpp_network_flood_ratio."""
    interference_suffered: float = Field(default=0.2, gt=0, le=1)
    """cpp_interference_suffered_ratio."""
    interference_caused: float = Field(default=0.2, gt=0, le=1)
    """cpp_interference_caused_ratio."""
    anomaly: float = Field(default=0.8, gt=0, le=1)
    """cpp_anomaly_ratio."""
    security_risk: float = Field(default=0.8, gt=0, le=1)
    """cpp_security_risk_ratio."""


class AlarmsConfig(_Section):
    """How often a container may raise an alarm on an ordinary day's work: scores of calls are calibrated to it."""

    anomaly: float = Field(default=1.0, gt=0)
    """Times that CppAnomaly may fire: resources pass .8 so often; calls so that two in five minutes do."""
    security_risk: float = Field(default=5.0, gt=0)
    """The same of cpp_security_risk_ratio, because of an ordinary call that was never made before."""


class AssessConfig(_Section):
    """How scores are made."""

    learn: Duration = 1800.0
    """How long a workload's behaviour is learned before its profile counts as finished."""
    hold: Duration = 180.0
    """How long evidence of a security risk counts in full after it was seen."""
    alarms_per_container_month: AlarmsConfig = AlarmsConfig()
    """False alarms that are allowed for."""
    thresholds: ThresholdsConfig = ThresholdsConfig()
    """Where a score becomes an alarm."""


class StateConfig(_Section):
    """Where what was learned is kept, so that a restart goes on where it stopped."""

    directory: Path | None = None
    """A directory for this exporter alone, made if it is not there; null to learn anew after a restart."""
    interval: Duration = 900.0
    """Time between two savings, which is what a crash may lose; the exporter also saves when it is stopped."""


class Config(_Section):
    """All keys of the file."""

    node: str = Field(default_factory=socket.gethostname)
    """Name of this node, the node label of every series."""
    interval: Duration = 15.0
    """Time between two cycles; also the step of the score history."""
    max_syscalls: int = Field(default=20, ge=1, le=50)
    """System calls published per container by name; the rest is summed as other."""
    sources: SourcesConfig = SourcesConfig()
    """What is read."""
    history: HistoryConfig = HistoryConfig()
    """How much is remembered."""
    forecast: ForecastConfig = ForecastConfig()
    """What is forecast."""
    assess: AssessConfig = AssessConfig()
    """How scores are made."""
    state: StateConfig = StateConfig()
    """Where what was learned is kept."""

    @model_validator(mode="after")
    def _consistent(self) -> "Config":
        if not self.node.strip():
            raise ValueError("node: is empty; give a name, or leave the key out to take the host's")
        _check_horizons(self.forecast)
        if self.forecast.step < self.interval:
            raise ValueError("forecast.step: is shorter than interval; make it at least as long")
        _check_span("history.window", self.history.window, _FEWEST_CYCLES * self.interval, "ten intervals")
        longest = 2 * max(self.forecast.horizons)
        _check_span("history.forecast_window", self.history.forecast_window, longest, "twice the longest horizon")
        return self


def _check_horizons(forecast: ForecastConfig) -> None:
    horizons, step = forecast.horizons, forecast.step
    if not 1 <= len(horizons) <= _MOST_HORIZONS:
        raise ValueError(
            f"forecast.horizons: has {len(horizons)} entries; give one to {_MOST_HORIZONS}, such as [5m, 15m, 30m]"
        )
    for horizon in horizons:
        if horizon < step or not math.isclose(horizon / step, round(horizon / step), rel_tol=_ROUNDING):
            raise ValueError(
                f"forecast.horizons: {format_duration(horizon)} is no multiple of forecast.step "
                f"({format_duration(step)}); choose multiples"
            )
        if horizons.count(horizon) > 1:
            raise ValueError(f"forecast.horizons: {format_duration(horizon)} is there twice; leave one out")


def _check_span(key: str, span: float, least: float, why: str) -> None:
    if span < least:
        raise ValueError(
            f"{key}: {format_duration(span)} is too short; make it at least {format_duration(least)}, {why}"
        )


def load_config(path: Path | None) -> Config:
    """Return the configuration in ``path``, or the defaults for None; raise ConfigError.

    ``${NAME}`` in the file stands for a variable of the environment, so that all nodes can share one file.
    """
    if path is None:
        return Config()
    try:
        document = yaml.safe_load(_VARIABLE.sub(lambda found: _variable(path, found[1]), path.read_text())) or {}
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); give a readable file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not YAML ({' '.join(str(error).split())}); mend the syntax") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: holds {type(document).__name__}; write keys such as 'interval: 15s'")
    try:
        return Config.model_validate(document)
    except ValidationError as error:
        raise ConfigError(f"{path}: {_first_problem(error)}") from error


def _variable(path: Path, name: str) -> str:
    try:
        return os.environ[name]
    except KeyError:
        raise ConfigError(f"{path}: names ${{{name}}}, which the environment does not have; set it") from None


def _first_problem(error: ValidationError) -> str:
    problem: Any = error.errors()[0]
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = _known_keys(problem["loc"][:-1])
        return f"{key}: unknown key; known here are {', '.join(known)}"
    message = problem["msg"].removeprefix("Value error, ")
    given = "" if isinstance(problem["input"], dict) else f" (got {problem['input']!r})"
    return f"{key}: {message}{given}" if key else str(message)


def _known_keys(location: tuple[Any, ...]) -> list[str]:
    section: Any = Config
    for part in location:
        kind = section.model_fields[str(part)].annotation
        section = next(iter(get_args(kind)), kind)  # the section itself where it may also be null
    return sorted(section.model_fields)
