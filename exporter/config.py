"""Configuration of cpp-exporter: a YAML file, every key optional, unknown keys refused in one line."""

import math
import os
import re
import socket
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import Field, ValidationError, model_validator

from exporter.durations import Duration, format_duration
from exporter.sections import AssessConfig, ForecastConfig, HistoryConfig, Section, SourcesConfig, StateConfig

_FEWEST_CYCLES = 10
_MOST_HORIZONS = 3
"""Each costs 24 of the 120 series that a container may have."""
_ROUNDING = 1e-9
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class ConfigError(Exception):
    """One line that names the file, the key and the remedy."""


class Config(Section):
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
