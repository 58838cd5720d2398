"""State → series about the node, the forecast's quality, and the exporter itself."""

from functools import partial
from math import isnan

import numpy as np

from exporter.config import Config
from exporter.durations import format_duration
from exporter.history.signals import LEVELS, RESOURCES
from exporter.history.windows import Floats
from exporter.publish.exposition import Page, write_labels
from exporter.state import State

_NODE_FORECASTS = (("cpp_node_cpu_forecast_cores", "cpu"), ("cpp_node_memory_forecast_bytes", "memory"))


def add_node(page: Page, state: State, config: Config) -> None:
    """Add the node's capacity and forecast."""
    page.add_one("cpp_node_cpu_capacity_cores", state.snapshot.node_cpu, node=config.node)
    page.add_one("cpp_node_memory_capacity_bytes", state.snapshot.node_memory, node=config.node)
    for name, resource in _NODE_FORECASTS:
        values = state.node_quantiles[RESOURCES.index(resource)]
        for index, seconds in enumerate(config.forecast.horizons):
            for level, quantile in enumerate(LEVELS):
                labels = {"horizon": format_duration(seconds), "level": f"{quantile:g}"}
                page.add_one(name, float(values[index, level]), node=config.node, **labels)


def add_quality(page: Page, state: State, config: Config) -> None:
    """Add the forecast's live loss and coverage by workload."""
    forecast = state.forecast
    if forecast is None:
        return
    places, levels = _places(config), [f',level="{level:g}"' for level in LEVELS[1:]]
    for name, measured, more in (
        ("cpp_forecast_loss_ratio", forecast.loss_ratio[..., None], [""]),
        ("cpp_forecast_coverage_ratio", forecast.coverage, levels),
    ):
        labels = [where + each for where in places for each in more]
        for number, values in zip(forecast.workloads.tolist(), measured, strict=True):
            if (workload := state.workload_names.get(number)) is not None:
                begin = f"{name}{{{write_labels({'node': config.node, 'workload': workload})},"
                page.add_later(name, int((~np.isnan(values)).sum()), partial(_shares, begin, labels, values))


def _places(config: Config) -> list[str]:
    """Return the labels of each resource and horizon: written once, not for each workload."""
    spans = [format_duration(seconds) for seconds in config.forecast.horizons]
    return [write_labels({"resource": name, "horizon": span}) for name in RESOURCES for span in spans]


def _shares(begin: str, labels: list[str], values: Floats) -> bytes:
    pairs = zip(labels, values.ravel().tolist(), strict=True)
    return "".join(f"{begin}{own}}} {value:.9g}\n" for own, value in pairs if not isnan(value)).encode()


def add_training(page: Page, state: State) -> None:
    """Add how training does."""
    if state.forecast is None:
        return
    health = state.forecast.training
    for cause, passes in health.passes.items():
        page.add_one("cpp_training_passes_total", passes, cause=cause)
    for reason, failures in health.failures.items():
        page.add_one("cpp_training_failures_total", failures, reason=reason)
    for cause, changed in health.changed.items():
        page.add_one("cpp_training_changed_series_total", changed, cause=cause)
    page.add_one("cpp_training_cpu_seconds_total", health.cpu_seconds)
    page.add_one("cpp_forecast_fitted_timestamp_seconds", health.fitted)


def add_self(page: Page, state: State, config: Config, series: int, dropped: int) -> None:
    """Add how the exporter and its sources do; it served so many ``series`` about containers, and dropped so many."""
    for source in state.sources:
        page.add_one("cpp_up", float(source.up), source=source.name)
        page.add_one("cpp_last_sample_timestamp_seconds", source.newest, node=config.node, source=source.name)
        page.add_one("cpp_source_read_duration_seconds", source.duration, source=source.name)
        page.add_one("cpp_source_errors_total", source.errors, source=source.name)
    page.add_one("cpp_dropped_series_total", dropped, source="probe")
    page.add_one("cpp_dropped_series_total", state.snapshot.dropped, source="cadvisor")
    page.add_one("cpp_containers", len(state.snapshot.lives))
    page.add_one("cpp_series", series)
