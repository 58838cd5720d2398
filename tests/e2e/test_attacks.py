"""Attacks on a service in real containers raise its security risk in time; what happens to any service does not."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from deploy.demo.containers import docker, inspect
from deploy.setup.stamps import BUILD

ATTACKS = {
    "shell": "execve",
    "miner": "connects to other",
    "ptrace": "ptrace",
    "ransom": "rewrites",
    "mount": "mount",
    "setns": "setns",
    "unshare": "unshare",
}
"""What the reason must name."""
BENIGN = ("load", "restart", "rolling", "reload")
IN_TIME = 15.0
LEARNED = 150.0
START_UP = 60.0
AFTER = 12.0
VISITS = 4.0
"""A second to each service."""
# A shell and its tools: the workload's image has none, and no registry is asked for one.
TOOLS = tuple(f"--volume={folder}:{folder}:ro" for folder in ("/bin", "/lib", "/lib64"))

# Docker's own filter refuses setns and unshare before the kernel's first tracepoint; mount is left to the kernel.
OPTIONS = {"mount": ("--security-opt=seccomp=unconfined",)}

Stack = Any


@dataclass
class Lab:
    """The services, what their risk was all the time, and how long each attack took to be seen."""

    stack: Stack
    ids: dict[str, str] = field(default_factory=dict)
    highest: dict[str, float] = field(default_factory=dict)
    """By service, until it is attacked, and of benign ones to the end."""
    seconds: dict[str, float] = field(default_factory=dict)
    reasons: dict[str, list[str]] = field(default_factory=dict)
    begun: dict[str, float] = field(default_factory=dict)
    alerts: dict[str, str] = field(default_factory=dict)
    """Descriptions of the quarantine alerts at the end."""
    judged: dict[str, bool] = field(default_factory=dict)
    """Whether a benign service's container had a finished profile, past its start, when it was looked at last."""
    threshold: float = 0.0

    def start(self, name: str, *work: str, options: tuple[str, ...] = ()) -> str:
        """Run one container; return its address."""
        self.ids[name] = self.stack.run_container(f"attacks-{name}", *work, options=("--volume", "/data", *options))
        return self.address(name)

    def address(self, name: str) -> str:
        return str(inspect(self.ids[name])["NetworkSettings"]["IPAddress"])

    def visit(self, name: str, visited: list[str], rate: float = VISITS) -> None:
        self.start(name, "visit", "--to", ",".join(f"{one}:8000" for one in visited), "--rate", str(rate))

    def look(self) -> None:
        """Take in what the exporter says now."""
        text = requests.get(f"{self.stack.exporter_url}/metrics", timeout=10).text
        risk: dict[str, float] = {}
        for family in text_string_to_metric_families(text):
            if family.name == "cpp_security_risk_ratio":
                risk = {sample.labels["container_id"]: sample.value for sample in family.samples}
            elif family.name == "cpp_alarm_threshold_ratio":
                self.threshold = next(s.value for s in family.samples if s.labels["score"] == "security_risk")
        now = time.monotonic()
        for name, container in self.ids.items():
            value = risk.get(container, 0.0)
            if name not in self.begun:
                self.highest[name] = max(self.highest.get(name, 0.0), value)
            elif name not in self.seconds and value > self.threshold:
                self.seconds[name] = now - self.begun[name]
                self.reasons[name] = self.profile(name)["reasons"]

    def profile(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = requests.get(f"{self.stack.exporter_url}/profiles/{self.ids[name]}", timeout=10).json()
        return found

    def watch(self, until: Callable[[], bool], most: float) -> None:
        """Look twice a second until something holds, at most so many seconds."""
        end = time.monotonic() + most
        while not until() and time.monotonic() < end:
            self.look()
            time.sleep(0.5)


@pytest.fixture(scope="module")
def lab(_session_stack: Stack) -> Iterator[Lab]:
    found = Lab(_session_stack)
    try:
        _learn(found)
        _disturb(found)
        _attack(found)
        found.watch(lambda: False, START_UP + AFTER - IN_TIME)
        found.judged = {
            name: bool(found.profile(name)["profile_finished"]) for name in ("load", "restart", "replica", "reload")
        }
        found.alerts = _alerts(found)
        _write(found)
        yield found
    finally:
        with ThreadPoolExecutor(4) as removers:
            list(removers.map(_session_stack.remove_container, [f"attacks-{name}" for name in found.ids]))


def _learn(lab: Lab) -> None:
    store = lab.start("store", "net-server", "--listen", ":6379")
    lair = lab.start("lair", "net-server", "--listen", ":3333")
    shop = ("shop", "--store", f"{store}:6379", "--lair", f"{lair}:3333")

    def start(name: str) -> str:
        return lab.start(name, *shop, options=(*OPTIONS.get(name, ()), *TOOLS, "--label", f"cpp.workload=shop/{name}"))

    with ThreadPoolExecutor(3) as starters:
        addresses = list(starters.map(start, (*ATTACKS, *BENIGN)))
    lab.visit("visitor", addresses)

    def finished() -> bool:
        return all(lab.profile(name)["profile_finished"] for name in (*ATTACKS, *BENIGN))

    lab.stack.wait_for(lambda: len(_listed(lab)) >= len(lab.ids), 30, "all services are listed")
    lab.stack.wait_for(finished, LEARNED, "all services have a finished profile")


def _listed(lab: Lab) -> set[str]:
    listed = requests.get(f"{lab.stack.exporter_url}/profiles", timeout=10).json()
    return set(lab.ids.values()) & {one["container_id"] for one in listed}


def _disturb(lab: Lab) -> None:
    """Do to some services what happens to any."""
    docker("kill", "--signal", "HUP", lab.ids["reload"])
    docker("restart", "--time", "1", lab.ids["restart"])
    store, lair = (lab.address(name) for name in ("store", "lair"))
    work = ("shop", "--store", f"{store}:6379", "--lair", f"{lair}:3333", "--release", "2", "--duty-per-request", "2ms")
    replica = lab.start("replica", *work, options=(*TOOLS, "--label", "cpp.workload=shop/rolling"))
    lab.visit("more", [lab.address("load")], 4 * VISITS)
    lab.visit("again", [lab.address("restart"), replica])
    docker("stop", "--time", "1", lab.ids.pop("rolling"))


def _attack(lab: Lab) -> None:
    lab.look()
    for name in ATTACKS:
        lab.begun[name] = time.monotonic()
        requests.get(f"http://{lab.address(name)}:8000/exploit/{name}", timeout=5).raise_for_status()
    lab.watch(lambda: len(lab.seconds) == len(ATTACKS), IN_TIME + 5)


def _alerts(lab: Lab) -> dict[str, str]:
    answer = requests.get(f"{lab.stack.prometheus_url}/api/v1/alerts", timeout=10).json()
    names = {container: name for name, container in lab.ids.items()}
    return {
        names[alert["labels"]["container_id"]]: alert["annotations"]["description"]
        for alert in answer["data"]["alerts"]
        if alert["labels"]["alertname"] == "CppQuarantine" and alert["labels"].get("container_id") in names
    }


def _write(lab: Lab) -> None:
    """Keep the figures for those who ask how fast it was."""
    figures = {"seconds": lab.seconds, "highest": lab.highest, "reasons": lab.reasons, "alerts": lab.alerts}
    (BUILD / "attacks.json").write_text(json.dumps(figures, indent=1))
    for name, seconds in lab.seconds.items():
        print(f"{name}: {seconds:.1f} s: {'; '.join(lab.reasons[name])}")
    print({name: round(value, 2) for name, value in lab.highest.items()})


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_raises_the_risk_over_the_threshold_within_15_seconds(lab: Lab, attack: str) -> None:
    assert lab.highest[attack] <= lab.threshold, "the alarm was there before the attack"
    assert lab.seconds.get(attack, float("inf")) <= IN_TIME


@pytest.mark.parametrize(("attack", "named"), ATTACKS.items())
def test_the_reasons_name_what_the_attack_did_and_since_when(lab: Lab, attack: str, named: str) -> None:
    assert any(named in reason and " since " in reason for reason in lab.reasons.get(attack, []))


@pytest.mark.parametrize(("attack", "named"), {**ATTACKS, "miner": "connections: other", "ransom": "rewriting"}.items())
def test_the_alert_names_it_too(lab: Lab, attack: str, named: str) -> None:
    assert named in lab.alerts.get(attack, "")


def test_no_other_container_is_to_be_quarantined(lab: Lab) -> None:
    assert lab.alerts.keys() <= ATTACKS.keys()


@pytest.mark.parametrize("name", ["load", "restart", "replica", "reload"])
def test_what_happens_to_any_service_raises_no_alarm(lab: Lab, name: str) -> None:
    assert lab.judged[name], "an unfinished profile accuses nobody"
    assert lab.highest[name] <= lab.threshold
