import gzip
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.cycle import Cycle
from exporter.publish import docs
from exporter.publish.catalogue import BY_NAME, CATALOGUE, IDENTITY
from exporter.state import State

DOCS = Path(__file__).parents[3] / "docs"

RESOURCES = {
    "cpu": "_cores",
    "memory": "_bytes",
    "disk_io": "_bytes_per_second",
    "network_io": "_bytes_per_second",
    "file_descriptors": "",
    "threads": "",
}
CONTRACT = {
    "cpp_cpu_usage_cores": (),
    "cpp_memory_working_set_bytes": (),
    "cpp_disk_io_bytes_per_second": ("direction",),
    "cpp_network_io_bytes_per_second": ("direction",),
    "cpp_file_descriptors": (),
    "cpp_threads": (),
    "cpp_processes": (),
    "cpp_cpu_limit_cores": (),
    "cpp_memory_limit_bytes": (),
    "cpp_cpu_request_cores": (),
    "cpp_memory_request_bytes": (),
    "cpp_cpu_throttled_ratio": (),
    "cpp_oom_kills_total": (),
    "cpp_container_start_timestamp_seconds": (),
    "cpp_container_info": ("workload", "tenant", "image", "runtime"),
    "cpp_syscalls_per_second": ("syscall",),
    "cpp_thread_creations_per_second": (),
    "cpp_thread_exits_per_second": (),
    "cpp_file_opens_per_second": (),
    "cpp_connections_per_second": ("protocol",),
    **{f"cpp_{resource}_forecast{unit}": ("horizon", "level") for resource, unit in RESOURCES.items()},
    **{f"cpp_{resource}_forecast_due{unit}": ("horizon",) for resource, unit in RESOURCES.items()},
    "cpp_forecast_trusted": ("resource",),
    "cpp_cpu_burst_ratio": (),
    "cpp_memory_leak_ratio": (),
    "cpp_network_flood_ratio": (),
    "cpp_interference_suffered_ratio": ("resource",),
    "cpp_interference_caused_ratio": ("resource", "victim"),
    "cpp_memory_exhaustion_seconds": (),
    "cpp_anomaly_ratio": (),
    "cpp_security_risk_ratio": (),
}
NOT_ABOUT_CONTAINERS = {
    "cpp_forecast_loss_ratio": ("workload", "resource", "horizon"),
    "cpp_forecast_coverage_ratio": ("workload", "resource", "horizon", "level"),
    "cpp_node_cpu_capacity_cores": (),
    "cpp_node_memory_capacity_bytes": (),
    "cpp_node_cpu_forecast_cores": ("horizon", "level"),
    "cpp_node_memory_forecast_bytes": ("horizon", "level"),
    "cpp_alarm_threshold_ratio": ("score",),
    "cpp_up": ("source",),
    "cpp_last_sample_timestamp_seconds": ("source",),
    "cpp_cycle_duration_seconds": (),
    "cpp_dropped_series_total": ("source",),
}


@pytest.mark.parametrize(("name", "labels"), CONTRACT.items())
def test_a_promised_metric_about_containers_is_in_the_catalogue(name: str, labels: tuple[str, ...]) -> None:
    assert BY_NAME[name].labels == (*IDENTITY, *labels)


@pytest.mark.parametrize(("name", "labels"), NOT_ABOUT_CONTAINERS.items())
def test_a_promised_metric_about_the_node_or_the_exporter_is_in_the_catalogue(
    name: str, labels: tuple[str, ...]
) -> None:
    assert tuple(label for label in BY_NAME[name].labels if label != "node") == labels


def test_names_are_unique_and_say_their_kind_and_unit() -> None:
    assert len(BY_NAME) == len(CATALOGUE)
    for metric in CATALOGUE:
        assert re.fullmatch(r"cpp_[a-z_]+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert metric.help
        assert metric.unit
        if metric.unit == "ratio":
            assert metric.name.endswith("_ratio")


@pytest.mark.parametrize(
    ("file", "make"), [("metrics.md", docs.metrics_page), ("profile.schema.json", docs.profile_schema)]
)
def test_a_generated_page_is_not_stale(file: str, make: Callable[[], str]) -> None:
    assert (DOCS / file).read_text() == make(), f"docs/{file} is stale; run make docs"


def test_promtool_finds_nothing_wrong_with_a_page(full_state: Callable[..., tuple[Cycle, State]]) -> None:
    promtool = shutil.which("promtool")
    assert promtool, "promtool is missing; install Debian's prometheus"
    cycle, _ = full_state()
    done = subprocess.run(
        [promtool, "check", "metrics"],
        input=gzip.decompress(cycle.publisher.page),
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")
