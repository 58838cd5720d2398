"""Observations from a real Prometheus that holds three hours of samples and evaluates the shipped rules."""

import math
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from actuator.model.orders import Intent, Order, OrderState, Target
from actuator.observe import Observer

RULES = Path(__file__).parents[2] / "rules"
WEB = Target("n1", "", "", 'we"b\\1', "a" * 64)
OTHER = Target("n1", "", "", "other", "b" * 64)
HISTORY = 3 * 3600
MIB = 2**20


@dataclass
class Prometheus:
    url: str
    now: float
    """Time of the newest sample in it."""


def labels_of(target: Target, more: str = "") -> str:
    name = target.container.replace("\\", "\\\\").replace('"', '\\"')
    identity = f'node="{target.node}",namespace="",pod="",container="{name}",container_id="{target.container_id}"'
    return "{" + identity + ("," if more else "") + more + "}"


def series(now: float) -> dict[str, dict[str, float]]:
    """By family: of each series the value at the end; two hours before, usage peaks at 0.9 cores and kills begin."""
    return {
        "cpp_cpu_usage_cores": {labels_of(WEB): 0.4, labels_of(OTHER): 0.1},
        "cpp_memory_working_set_bytes": {labels_of(WEB): 50 * MIB, labels_of(OTHER): MIB},
        "cpp_cpu_limit_cores": {labels_of(WEB): 0.5, labels_of(OTHER): 0.5},
        "cpp_memory_limit_bytes": {labels_of(WEB): 64 * MIB},
        "cpp_cpu_forecast_cores": {
            labels_of(WEB, f'horizon="{horizon}",level="{level}"'): value
            for horizon, level, value in (
                ("30s", "0.5", 0.3), ("30s", "0.9", 0.45), ("30s", "0.99", 0.6),
                ("5m", "0.5", 0.6), ("5m", "0.9", 0.8), ("5m", "0.99", 1.0),
                ("15m", "0.5", 0.55), ("15m", "0.9", 0.7), ("15m", "0.99", 1.1),
            )
        },
        "cpp_forecast_trusted": {labels_of(t, 'resource="cpu"'): 1 for t in (WEB, OTHER)},
        "cpp_cpu_throttled_ratio": {labels_of(WEB): 0.25},
        "cpp_oom_kills_total": {labels_of(WEB): 3, labels_of(OTHER): 2},
        "cpp_memory_exhaustion_seconds": {labels_of(WEB): 900},
        "cpp_interference_caused_ratio": {labels_of(WEB, 'resource="cpu",victim="other"'): 0.9},
        "cpp_alarm_threshold_ratio": {'{score="interference_caused"}': 0.5},
        "cpp_node_cpu_capacity_cores": {'{node="n1"}': 8, '{node="n2"}': 64},
        "cpp_node_cpu_forecast_cores": {
            '{node="n1",horizon="5m",level="0.9"}': 3, '{node="n1",horizon="15m",level="0.9"}': 4,
            '{node="n1",horizon="15m",level="0.99"}': 5, '{node="n2",horizon="5m",level="0.9"}': 60,
        },
        "cpp_last_sample_timestamp_seconds": {
            '{node="n1",source="cadvisor"}': now - 7, '{node="n1",source="probe"}': now,
            '{node="n2",source="cadvisor"}': now,
        },
    }  # fmt: skip


def exposition(now: float) -> str:
    lines = []
    for family, values in series(now).items():
        kind = "counter" if family.endswith("_total") else "gauge"
        lines.append(f"# TYPE {family.removesuffix('_total')} {kind}")
        for labels, value in values.items():
            for ago in range(HISTORY, -1, -60):
                then = 0.9 if family == "cpp_cpu_usage_cores" and ago == 7200 else value
                if family == "cpp_oom_kills_total" and value == 3 and ago > 7200:
                    then = 0.0
                lines.append(f"{family}{labels} {then} {now - ago:.3f}")
    return "\n".join([*lines, "# EOF", ""])


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    for program in ("prometheus", "promtool"):
        assert shutil.which(program), f"{program} is not installed: run make setup"
    home = tmp_path_factory.mktemp("prometheus")
    now = float(int(time.time()))
    (home / "history.txt").write_text(exposition(now))
    blocks = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(home / "history.txt"), str(home / "data")]
    subprocess.run(blocks, check=True, capture_output=True, timeout=60)
    (home / "prometheus.yml").write_text(
        f"global: {{evaluation_interval: 1s}}\nrule_files: ['{RULES}/recording.yml', '{RULES}/alerts-*.yml']\n"
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    process = subprocess.Popen(
        ["prometheus", f"--config.file={home}/prometheus.yml", f"--storage.tsdb.path={home}/data",
         f"--web.listen-address={address}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_for_rules(f"http://{address}")
        yield Prometheus(f"http://{address}", now)
    finally:
        process.terminate()
        process.wait(timeout=20)


def wait_for_rules(url: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            groups = requests.get(f"{url}/api/v1/rules", timeout=2).json()["data"]["groups"]
            if groups and not any(group["lastEvaluation"].startswith("0001") for group in groups):
                return
        except (requests.RequestException, ValueError, KeyError):
            pass
        assert time.monotonic() < deadline, "Prometheus did not evaluate the rules within 30 s"
        time.sleep(0.2)


def order(target: Target, alert: str, resource: str = "cpu", intent: Intent = Intent.RESERVE) -> Order:
    return Order(1, target, resource, intent, alert, "info", "", OrderState.OPEN, 0.0, 0.0)


def observer(prometheus: Prometheus) -> Observer:
    return Observer(prometheus.url, timeout=10, scrape_interval=15)


def test_everything_known_of_the_container_is_observed(prometheus: Prometheus) -> None:
    seen = observer(prometheus).observe(order(WEB, "CppReserveCpu"), time.time())
    assert seen.problem == ""
    assert (seen.usage, seen.forecast, seen.forecast_top, seen.peak) == (0.4, 0.8, 1.1, 0.9)
    assert (seen.node_capacity, seen.node_forecast) == (8, 4)
    assert (seen.throttled_ratio, seen.exhaustion_seconds) == (0.25, 900)
    assert seen.oom_kills_last_day == pytest.approx(3, rel=0.1)
    assert seen.history_seconds == pytest.approx(HISTORY, abs=90)
    assert seen.sample_age == pytest.approx(max(seen.at - prometheus.now, 7), abs=0.01)
    assert seen.fresh_within == 30
    assert seen.forecast_due_at == pytest.approx(prometheus.now - 7 + 300, abs=0.01)


def test_kills_that_nobody_saw_happen_are_no_evidence(prometheus: Prometheus) -> None:
    seen = observer(prometheus).observe(order(OTHER, "CppActivateMemory", "memory", Intent.ACTIVATE), time.time())
    assert seen.oom_kills_last_day == 0


def test_memory_is_observed_in_bytes(prometheus: Prometheus) -> None:
    seen = observer(prometheus).observe(order(WEB, "CppReserveMemory", "memory"), time.time())
    assert (seen.usage, seen.peak) == (50 * MIB, 50 * MIB)
    assert (seen.forecast, seen.forecast_due_at, seen.node_forecast, seen.firing) == (None, None, None, False)


def test_the_rule_itself_says_whether_its_condition_holds(prometheus: Prometheus) -> None:
    asks, now = observer(prometheus), time.time()
    assert asks.observe(order(WEB, "CppReserveCpu"), now).firing
    assert not asks.observe(order(OTHER, "CppReserveCpu"), now).firing
    assert not asks.observe(order(WEB, "CppReleaseCpu"), now).firing
    assert not asks.observe(order(WEB, "CppNoSuchRule"), now).firing


def test_where_the_alert_names_a_resource_it_must_be_the_orders(prometheus: Prometheus) -> None:
    asks, now = observer(prometheus), time.time()
    assert asks.observe(order(WEB, "CppRelieve", "cpu", Intent.RELIEVE), now).firing
    assert not asks.observe(order(WEB, "CppRelieve", "disk_io", Intent.RELIEVE), now).firing
    assert not asks.observe(order(OTHER, "CppRelieve", "cpu", Intent.RELIEVE), now).firing


def test_a_condition_that_held_a_while_ago_does_not_count_as_holding(prometheus: Prometheus) -> None:
    later = observer(prometheus).observe(order(WEB, "CppReserveCpu"), prometheus.now + 3600)
    assert not later.firing
    assert later.sample_age == math.inf


def test_an_unknown_container_has_no_fresh_truth(prometheus: Prometheus) -> None:
    nobody = Target("n1", "", "", "nobody", "d" * 64)
    seen = observer(prometheus).observe(order(nobody, "CppReserveCpu"), time.time())
    assert (seen.problem, seen.firing, seen.sample_age, seen.usage) == ("", False, math.inf, None)


def test_an_exporter_that_says_nothing_of_its_source_has_no_fresh_truth(prometheus: Prometheus) -> None:
    elsewhere = Target("n3", "", "", "web", "a" * 64)
    assert observer(prometheus).observe(order(elsewhere, "CppReserveCpu"), time.time()).sample_age == math.inf


def test_a_prometheus_that_is_not_there_is_a_problem() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    seen = Observer(url, timeout=1, scrape_interval=15).observe(order(WEB, "CppReserveCpu"), 0.0)
    assert url in seen.problem
    assert (seen.firing, seen.sample_age) == (False, math.inf)


def test_what_is_no_prometheus_is_a_problem(prometheus: Prometheus) -> None:
    seen = Observer(f"{prometheus.url}/graph", timeout=5, scrape_interval=15).observe(order(WEB, "CppReserveCpu"), 0.0)
    assert seen.problem
    assert not seen.firing
