"""A thousand alerts about a cluster of 500 nodes and 5,000 pods, through the real actuator pinned to one core.

The API server and etcd are real, nodes and pods are simulated by KWOK; a stand-in answers for Prometheus over HTTP.
All but the actuator share another core. Alerts come one in a request, as Alertmanager sends them. The actuator plans
only (dry run), under the rights that are shipped.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import requests
import yaml

# Neither the harness that starts the parts nor the tests' stubs are installed packages.
sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(1, str(Path(__file__).parents[1] / "stubs"))

from fleet import NODES, PODS, Fleet, SimulatedPod, kwok_stages
from fleet_prometheus import DEMANDS, Demand, Says, answering
from steering_webhook import HOST, configuration, issue

from deploy.cluster.cluster import Cluster
from deploy.cluster.identities import NAMESPACE, issue_token, kubeconfig
from deploy.demo.children import Child, start_child, stop_child, wait_until_ready
from deploy.demo.ports import free_ports
from deploy.setup.builds import VENV
from deploy.setup.kubernetes import build_kubernetes, build_kwok
from deploy.setup.stamps import ROOT

ALERTS = 1000
_MOST_SECONDS = 60.0
_MOST_MIB = 300.0
_MOST_REQUESTS = 10.0
"""To the API server, for each alert."""
_PATIENCE = 240.0
_SENDERS = 4
_ACCOUNT = "cpp-actuator"
_TOKEN = "for this bench"
_ABOUT_NO_CONTAINER = {"prometheus_unreachable", "platform_unavailable", "watchdog_silent", "paused", "stale_data"}

Alerts = Sequence[tuple[Demand, SimulatedPod]]


def main() -> None:
    """Print what a thousand alerts take; fail where a bar is missed."""
    build_kubernetes()
    build_kwok()
    first, *others = sorted(os.sched_getaffinity(0))
    if not others:
        sys.exit("the actuator has a core for itself here, and all else another; this machine has one")
    cluster = Cluster(Path(tempfile.gettempdir()) / f"cpp-fleet-{os.getpid()}")
    try:
        pods = _start(cluster)
        _confine(others[0])
        alerts = [(DEMANDS[n % len(DEMANDS)], pod) for n, pod in enumerate(Random(7).sample(pods, ALERTS))]
        with answering(Says(pods, alerts)) as prometheus, _actuator(cluster, prometheus, first) as (child, url):
            missed = _measure(cluster, child, url, alerts)
    finally:
        cluster.stop()
    if missed:
        sys.exit(f"over the bar: {', '.join(missed)}")


def _start(cluster: Cluster) -> list[SimulatedPod]:
    began = time.monotonic()
    cluster.start_api_server()
    cluster.simulate(kwok_stages())
    for name in ("namespace", "crd", "priority-class", "actuator-rights"):
        cluster.kubectl("apply", f"--filename={ROOT / 'deploy/kubernetes/base'}/{name}.yaml")
    cluster.kubectl("create", "serviceaccount", _ACCOUNT, f"--namespace={NAMESPACE}")
    pods = Fleet(cluster.server, cluster.authority).populate()
    cluster.wait_for(lambda: _running(cluster) == len(pods), _PATIENCE, "all pods run")
    _say("seconds_to_simulate_nodes_and_pods", time.monotonic() - began, None)
    return pods


def _confine(core: int) -> None:
    """Leave one core to this process and all that it has started; what is started from now on inherits it."""
    own = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    for process in (os.getpid(), *own):
        command = ["taskset", "--all-tasks", "--cpu-list", "--pid", str(core), str(process)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _running(cluster: Cluster) -> int:
    path = "/api/v1/pods?fieldSelector=status.phase%3DRunning"
    return len(json.loads(cluster.kubectl("get", f"--raw={path}"))["items"])


@contextmanager
def _actuator(cluster: Cluster, prometheus: str, core: int) -> Iterator[tuple[Child, str]]:
    folder, address = cluster.directory / "actuator", f"127.0.0.1:{free_ports(1)[0]}"
    folder.mkdir()
    (folder / "token").write_text(_TOKEN)
    (folder / "actuator.yml").write_text(yaml.safe_dump(_configuration(cluster, folder, prometheus)))
    run = [VENV / "bin/cpp-actuator", "run", f"--config.file={folder / 'actuator.yml'}"]
    log = cluster.directory / "log/actuator.log"
    child = start_child("actuator", ["taskset", "--cpu-list", core, *run, f"--web.listen-address={address}"], log)
    try:
        wait_until_ready(child, f"http://{address}/-/ready", log, 30)
        yield child, f"http://{address}"
    finally:
        stop_child(child)


def _configuration(cluster: Cluster, folder: Path, prometheus: str) -> Mapping[str, Any]:
    access = kubeconfig(cluster, issue_token(cluster, _ACCOUNT, folder))
    return {
        "cluster": "fleet",
        "dry_run": True,
        "webhook": {"token_file": str(folder / "token")},
        "prometheus": {"url": prometheus},
        "ledger": {"path": str(folder / "ledger.sqlite")},
        "platform": {"kind": "kubernetes", "kubeconfig": str(access), "namespace": NAMESPACE},
        "limits": {"actions_per_hour": ALERTS},
        "admission": _steering(cluster),
    }


def _steering(cluster: Cluster) -> Mapping[str, str]:
    """Let the API server ask the actuator about new pods, without which no move is planned."""
    address = f"{HOST}:{free_ports(1)[0]}"
    cluster.apply(configuration(cluster.authority, address))
    return {"listen_address": address, **issue(cluster.authority)}


def _measure(cluster: Cluster, child: Child, url: str, alerts: Alerts) -> list[str]:
    cluster.wait_for(lambda: _post(url, [_watchdog()]) == 202, 60, "the actuator leads and takes alerts")
    cpu, asked, began = _cpu_seconds(child), _requests(cluster), time.time()
    with ThreadPoolExecutor(_SENDERS) as senders:
        taken = list(senders.map(lambda each: _post(url, [_alert(*each)]), alerts))
    assert set(taken) == {202}, Counter(taken)
    _say("seconds_until_all_alerts_are_taken", time.time() - began, None)
    actions = _await_verdicts(url, began)
    cpu, asked = _cpu_seconds(child) - cpu, _requests(cluster) - asked
    return _report(child, actions, began, cpu, asked)


def _await_verdicts(url: str, began: float) -> list[dict[str, Any]]:
    """Look seldom: whoever reads all actions keeps the actuator from its work."""
    while time.time() - began < _PATIENCE:
        time.sleep(2)
        said = requests.get(f"{url}/metrics", timeout=30).text
        verdicts = sum(
            float(n) for n in re.findall(r'^cpp_actions_total{.*outcome="(?:dry_run|refused)"} (\S+)', said, re.M)
        )
        if verdicts >= ALERTS:
            actions: list[dict[str, Any]] = requests.get(f"{url}/actions?limit={ALERTS}", timeout=60).json()["actions"]
            if all(action["decisions"] for action in actions):
                return actions
    sys.exit(f"after {_PATIENCE:.0f} s there are not {ALERTS} verdicts")


def _report(
    child: Child, actions: Sequence[Mapping[str, Any]], began: float, cpu: float, asked: Counter[str]
) -> list[str]:
    firsts = [action["decisions"][0] for action in actions]
    kinds = Counter(f"{a['intent']} {_kind(first)}" for a, first in zip(actions, firsts, strict=True))
    senseless = [first["code"] for first in firsts if first["code"] in _ABOUT_NO_CONTAINER]
    assert len(actions) == ALERTS
    assert not senseless, Counter(senseless)
    _say("nodes", NODES, None)
    _say("pods", PODS, None)
    _say("alerts_planned", sum(first["kind"] == "plan" for first in firsts), None)
    for kind, number in sorted(kinds.items()):
        _say(f"alerts: {kind}", number, None)
    missed = [
        _say("seconds_until_all_have_a_verdict", max(first["at"] for first in firsts) - began, _MOST_SECONDS),
        _say("cpu_seconds", cpu, _MOST_SECONDS),
        _say("api_requests_per_alert", sum(asked.values()) / ALERTS, _MOST_REQUESTS),
        _say("peak_rss_mib", _peak_mib(child), _MOST_MIB),
    ]
    for request, number in asked.most_common():
        _say(f"api_requests: {request}", number, None)
    return [metric for metric in missed if metric]


def _kind(decision: Mapping[str, Any]) -> str:
    return "planned" if decision["kind"] == "plan" else f"refused: {decision['code']}"


def _requests(cluster: Cluster) -> Counter[str]:
    """Count what the actuator has asked the API server for, by the server's audit log."""
    counts: Counter[str] = Counter()
    for line in cluster.audit.read_text().splitlines() if cluster.audit.exists() else ():
        event = json.loads(line)
        if event["stage"] == "ResponseComplete":
            what = event.get("objectRef", {})
            counts[f"{event['verb']} {'/'.join(filter(None, (what.get('resource'), what.get('subresource'))))}"] += 1
    return counts


def _alert(demand: Demand, pod: SimulatedPod) -> dict[str, Any]:
    asks = {"alertname": demand.alert, "intent": demand.intent, "resource": demand.resource, "severity": "warning"}
    labels = {"cluster": "fleet", **asks, **pod.labels}
    said = f"{pod.namespace}/{pod.name} asks for {demand.intent} of {demand.resource}"
    return {
        "labels": labels,
        "annotations": {"description": said},
        "fingerprint": f"{demand.intent}-{pod.container_id[:16]}",
    }


def _watchdog() -> dict[str, Any]:
    labels = {"alertname": "CppWatchdog", "cluster": "fleet", "severity": "none"}
    return {"labels": labels, "annotations": {}, "fingerprint": "watchdog"}


def _post(url: str, alerts: Sequence[Mapping[str, Any]]) -> int:
    started = {"status": "firing", "startsAt": "2026-01-01T00:00:00Z"}
    body = {
        "version": "4",
        "status": "firing",
        "receiver": "cpp-actuator",
        "alerts": [started | dict(a) for a in alerts],
    }
    answer = requests.post(f"{url}/alerts", json=body, headers={"Authorization": f"Bearer {_TOKEN}"}, timeout=60)
    return answer.status_code


def _cpu_seconds(child: Child) -> float:
    fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak_mib(child: Child) -> float:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{child.pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def _say(metric: str, value: float, bar: float | None) -> str:
    """Print a line; return the metric's name where it is over its bar."""
    line = {"bench": "kubernetes", "metric": metric, "value": round(value, 2), "peer": "bar", "peer_value": bar}
    print(json.dumps({**line, "ratio": round(value / bar, 3) if bar else None}), flush=True)
    return metric if bar is not None and value > bar else ""


if __name__ == "__main__":
    main()
