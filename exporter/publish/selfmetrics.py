"""State → series about the node, the forecast's quality, and the exporter itself."""

from math import isnan

from exporter.config import Config
from exporter.durations import format_duration
from exporter.history.signals import LEVELS, RESOURCES
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
    places, losses, shares = _places(config), list[str](), list[str]()
    columns = forecast.workloads.tolist(), forecast.loss_ratio.tolist(), forecast.coverage.tolist()
    for number, ratios, covered in zip(*columns, strict=True):
        workload = state.workload_names.get(number)
        if workload is None:
            continue
        who = write_labels({"node": config.node, "workload": workload})
        for resource, horizon, where in places:
            if not isnan(ratio := ratios[resource][horizon]):
                losses.append(f"cpp_forecast_loss_ratio{{{who},{where}}} {ratio:.9g}")
                shares += _covered(f"{who},{where}", covered[resource][horizon])
    page.add_lines("cpp_forecast_loss_ratio", losses)
    page.add_lines("cpp_forecast_coverage_ratio", shares)


def _places(config: Config) -> list[tuple[int, int, str]]:
    """Return each resource and horizon with their labels: written once, not for each workload."""
    spans = [format_duration(seconds) for seconds in config.forecast.horizons]
    return [
        (resource, horizon, write_labels({"resource": name, "horizon": span}))
        for resource, name in enumerate(RESOURCES)
        for horizon, span in enumerate(spans)
    ]


def _covered(labels: str, shares: list[float]) -> list[str]:
    levels = zip(LEVELS[1:], shares, strict=True)
    return [
        f'cpp_forecast_coverage_ratio{{{labels},level="{level:g}"}} {share:.9g}'
        for level, share in levels
        if not isnan(share)
    ]


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
