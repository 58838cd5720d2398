"""The CPP document and the metrics of real containers, as a user's program and Prometheus get them."""

import json
import math
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from deploy.demo.containers import inspect

SCHEMA = Path(__file__).parents[2] / "docs/profile.schema.json"
RUNTIME = ("cpu_usage", "memory_usage", "network_io", "disk_io", "process_count")
PREDICTED = ("cpu_usage", "memory_usage", "network_io", "disk_io", "file_descriptors", "threads")
INTERVAL = 2.0
MOST_SERIES = 120

Stack = Any


def _metrics(stack: Stack, container: str) -> list[Any]:
    text = requests.get(f"{stack.exporter_url}/metrics", timeout=10).text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return [sample for sample in samples if sample.labels.get("container_id") == container]


def _profile(stack: Stack, container: str, query: str = "") -> dict[str, Any] | None:
    answer = requests.get(f"{stack.exporter_url}/profiles/{container}{query}", timeout=10)
    return dict(answer.json()) if answer.ok else None


@pytest.fixture(scope="module")
def shop(_session_stack: Stack) -> Iterator[str]:
    """A container that does something of everything, once its profile has forecasts."""
    stack = _session_stack
    server = stack.run_container("shop-db", "net-server", "--listen", ":6379")
    address = inspect(server)["NetworkSettings"]["IPAddress"]
    options = ("--volume", "/data", "--cpus", "0.5", "--memory", "128m", "--label", "cpp.workload=shop/web")
    work = ("write", "--file", "/data/f", "--bytes", "2GiB", "--rate", "512KiB/s", "--block", "64KiB", "--fsync")
    web = stack.run_container("shop-web", *work, options=options)
    for more in (("net-client", "--to", f"{address}:6379", "--rate", "100KiB/s"), ("cpu", "--duty", "0.1")):
        subprocess.run(["docker", "exec", "--detach", web, "/workload", *more], check=True, timeout=30)

    def complete() -> bool:
        found = _profile(stack, web)
        return found is not None and all(found["predicted_metrics"][key] for key in PREDICTED)

    stack.wait_for(complete, 90, "all resources of a container are forecast")
    yield web
    for name in ("shop-web", "shop-db"):
        stack.remove_container(name)


def test_the_profile_of_a_real_container_has_every_key_filled_and_fits_its_schema(stack: Stack, shop: str) -> None:
    found = _profile(stack, shop)
    assert found is not None
    jsonschema.validate(found, json.loads(SCHEMA.read_text()), cls=jsonschema.Draft202012Validator)
    assert found["name"] == stack.full_name("shop-web")
    assert found["container_id"] == shop
    assert found["workload"] == "shop/web"
    seen = found["runtime_metrics"]
    for key in RUNTIME:
        assert seen[key], key
        stamps = [point["timestamp"] for point in seen[key]]
        assert stamps == sorted(stamps)
        assert abs(time.time() - stamps[-1]) < 30
    assert seen["disk_io"][-1]["value"] > 0
    assert seen["network_io"][-1]["value"] > 0
    assert seen["process_count"][-1]["value"] == 3
    assert {"write", "fsync"} & set(seen["api_call_frequency"])
    for key in PREDICTED:
        for point in found["predicted_metrics"][key]:
            assert point["timestamp"] > stamps[-1] - 10 * INTERVAL
            assert list(point["quantiles"]) == ["0.5", "0.9", "0.99"]
            assert sorted(point["quantiles"].values()) == list(point["quantiles"].values())
            assert point["value"] == point["quantiles"]["0.5"]
    assert set(found["interference_potential"]) == {"cpu_bursts", "memory_leaks", "network_flooding"}
    assert 0 <= found["security_risk_score"] <= 1
    assert found["policy_violations"] == []


def test_a_window_bounds_the_series_and_a_wrong_one_is_refused(stack: Stack, shop: str) -> None:
    found = _profile(stack, shop, "?window=6s")
    assert found is not None
    assert 1 <= len(found["runtime_metrics"]["memory_usage"]) <= 3
    answer = requests.get(f"{stack.exporter_url}/profiles/{shop}?window=soon", timeout=10)
    assert answer.status_code == 400


def test_the_series_of_a_real_container_keep_to_the_budget_and_say_what_docker_set(stack: Stack, shop: str) -> None:
    samples = _metrics(stack, shop)
    assert 80 < len(samples) <= MOST_SERIES
    assert not any(math.isnan(sample.value) for sample in samples)
    values = {sample.name: sample.value for sample in samples}
    assert values["cpp_cpu_limit_cores"] == 0.5
    assert values["cpp_memory_limit_bytes"] == 128 * 2**20
    assert abs(time.time() - values["cpp_container_start_timestamp_seconds"]) < 600
    protocols = {sample.labels["protocol"] for sample in samples if sample.name == "cpp_connections_per_second"}
    assert protocols == {"redis", "other"}


def test_a_container_that_was_removed_leaves_no_series_and_no_profile(stack: Stack) -> None:
    gone = stack.run_container("leaver", "sleep")
    stack.wait_for(lambda: _metrics(stack, gone), 30, "a new container is served")
    assert _profile(stack, gone) is not None
    stack.remove_container("leaver")
    removed = time.monotonic()
    stack.wait_for(lambda: not _metrics(stack, gone), 30, "a removed container has no series")
    assert time.monotonic() - removed < 15
    assert _profile(stack, gone) is None
    listed = requests.get(f"{stack.exporter_url}/profiles", timeout=10).json()
    assert gone not in [each["container_id"] for each in listed]


@pytest.mark.parametrize("part", ["exporter", "probe", "actuator"])
def test_promtool_finds_nothing_wrong_with_the_live_metrics(stack: Stack, part: str) -> None:
    promtool = shutil.which("promtool")
    assert promtool, "promtool is missing; install Debian's prometheus"
    page = requests.get(f"{getattr(stack, f'{part}_url')}/metrics", timeout=10)
    assert page.ok
    command = [promtool, "check", "metrics"]
    done = subprocess.run(command, input=page.content, capture_output=True, timeout=30, check=False)
    assert (done.returncode, (done.stdout + done.stderr).decode()) == (0, "")
