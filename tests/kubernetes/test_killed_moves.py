"""Killed in the middle of a move: the other replica sees it through, once, and nothing of it is left."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from replica import Cluster as Told
from replica import Seen
from replica_pair import NAMES, Pair, alert_about, home_of, rule
from simulated_node import await_open, simulated_node
from steering_webhook import HOST, configuration, issue

from deploy.cluster.cluster import Cluster
from deploy.demo.ports import free_ports

HOME, SHOP = "cpp-killed-moves", "shop-killed"
WORKLOAD = "localhost/workload:1"
FAVOURITE = "n3"
TIER = "cpp/security-tier"
TAKEN_OVER_WITHIN = 20.0
GATE = "cpp.test/open"
"""A pod is Ready only when the test says so: a move stays in the middle for as long as that."""
TO_MOVE = [
    rule("", ["pods/eviction"], "create"),
    rule("admissionregistration.k8s.io", ["mutatingwebhookconfigurations"], "get"),
]
SEEN: Seen = {"migrate": {"usage": 0.1}, "quarantine": {"usage": 0.1}}
BUSY = {"migrate": {"n1": 1.2, "n2": 0.3, FAVOURITE: 12.0}, "quarantine": {"n1": 0.2, "n2": 0.6, FAVOURITE: 0.1}}
WHY = {"migrate": ("cpp_interference_suffered_ratio", 0.6), "quarantine": ("cpp_security_risk_ratio", 0.9)}
Pod = dict[str, Any]


@pytest.fixture(scope="module")
def home(cluster: Cluster) -> Iterator[Cluster]:
    """The namespaces of the replicas and of what they move, and a large third node, which the scheduler likes best."""
    with home_of(cluster, HOME, TO_MOVE), simulated_node(cluster, FAVOURITE, cpu="16", memory="64Gi"):
        labels = {"cpp/steer": "enabled"}
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SHOP, "labels": labels}})
        yield cluster
        cluster.kubectl("delete", "namespace", SHOP, "--wait=false")


@pytest.fixture
def admissions(home: Cluster) -> Iterator[dict[str, dict[str, str]]]:
    """Each replica listens for the API server, which asks both, as a Service would lead to the one that leads."""
    addresses = [f"{HOST}:{port}" for port in free_ports(len(NAMES))]
    home.apply(configuration(home.authority, *addresses))
    files = issue(home.authority)
    yield {name: {"listen_address": address, **files} for name, address in zip(NAMES, addresses, strict=True)}
    home.kubectl("delete", "mutatingwebhookconfiguration", "cpp-steer")


@pytest.fixture
def mover(home: Cluster) -> Iterator[str]:
    """A Deployment of one pod on the first node, which runs and is Ready; returns its name."""
    name = f"killed-{uuid4().hex[:6]}"
    for node in ("n2", FAVOURITE):
        home.kubectl("cordon", node)
    home.apply(_deployment(name))
    home.wait_for(lambda: _runs(pods(home, name)), 60, "its container runs")
    for node in ("n2", FAVOURITE):
        home.kubectl("uncordon", node)
    await_open(home, "n2", FAVOURITE)
    open_gate(home, pods(home, name)[0])
    yield name
    home.kubectl("label", "node", "n2", f"{TIER}-")
    home.kubectl("delete", "deployment", name, f"--namespace={SHOP}", "--wait=false")
    home.kubectl("delete", "pods", "--all", f"--namespace={SHOP}", "--grace-period=0", "--force")


def _deployment(name: str) -> dict[str, Any]:
    resources = {"cpu": "100m", "memory": "32Mi"}
    container = {"name": "main", "image": WORKLOAD, "args": ["sleep"], "imagePullPolicy": "Never"}
    container |= {"resources": {"requests": resources, "limits": resources}}
    gates = [{"conditionType": GATE}]
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0, "readinessGates": gates}
    metadata = {"labels": {"app": name}, "annotations": {"cpp/allow-single-replica-move": "true"}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": SHOP},
        "spec": {"selector": {"matchLabels": {"app": name}}, "template": {"metadata": metadata, "spec": spec}},
    }


def pods(cluster: Cluster, name: str) -> list[Pod]:
    """The pods of a Deployment that are not on their way out, the oldest first."""
    found = cluster.get("pods", f"--namespace={SHOP}", f"--selector=app={name}")["items"]
    there = [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]
    return sorted(there, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))


def _runs(found: list[Pod]) -> bool:
    return bool(found) and all("running" in status["state"] for pod in found for status in _statuses(pod))


def _statuses(pod: Pod) -> list[dict[str, Any]]:
    return pod["status"].get("containerStatuses") or [{"state": {}}]


def open_gate(cluster: Cluster, pod: Pod) -> None:
    change = {"status": {"conditions": [{"type": GATE, "status": "True"}]}}
    where = [pod["metadata"]["name"], f"--namespace={SHOP}"]
    patch = ["--subresource=status", "--type=strategic", f"--patch={json.dumps(change)}"]
    cluster.kubectl("patch", "pod", *where, *patch)
    cluster.kubectl("wait", "--for=condition=Ready", "pod", *where, "--timeout=30s")


def told(pod: Pod, intent: str) -> Told:
    """What Prometheus says: why this pod should move, and how much of each node is forecast to be used."""
    labels = alert_about(pod, intent)["labels"]
    metric, score = WHY[intent]
    return Told(BUSY[intent], [({**labels, "__name__": metric}, score)])


def steps(pair: Pair, kind: str) -> list[dict[str, Any]]:
    return [row for row in pair.rows("steps") if row["kind"] == kind]


def the_pod_is_evicted(pair: Pair) -> bool:
    return any(row["state"] == "done" for row in steps(pair, "evict"))


@pytest.mark.parametrize("intent", ["migrate", "quarantine"])
def test_a_leader_killed_while_the_replacement_lands_is_followed_by_one_that_ends_the_move_once(
    home: Cluster, admissions: dict[str, dict[str, str]], mover: str, tmp_path: Path, intent: str
) -> None:
    (before,) = pods(home, mover)
    assert before["spec"]["nodeName"] == "n1"
    if intent == "quarantine":
        home.kubectl("label", "node", "n2", f"{TIER}=isolated")
    alert = alert_about(before, intent, resource="cpu" if intent == "migrate" else "")
    limits = {"move_relief": "1s"}
    with Pair(home, HOME, tmp_path, SEEN, told(before, intent), admissions, limits) as pair:
        home.wait_for(pair.leader, 30.0, "one of them leads")
        pair.deliver(alert)
        home.wait_for(lambda: the_pod_is_evicted(pair), 30.0, "the move is in the middle")
        taken_over = pair.kill_leader()
        print(f"{intent}: taken over after {taken_over:.1f} s")
        assert taken_over < TAKEN_OVER_WITHIN
        pair.deliver(alert)
        home.wait_for(lambda: _landed(home, mover, before), 60.0, "the replacement runs on n2")
        assert {row["state"] for row in steps(pair, "land")} & {"planned", "started"}, "it waits until it is Ready"
        open_gate(home, pods(home, mover)[0])
        home.wait_for(lambda: _over(pair), 30.0, "the move is over")
        (done,) = [row for row in steps(pair, "evict") if row["state"] == "done"]
        (landed,) = [row for row in steps(pair, "land") if row["state"] == "done"]
        assert (done["node"], landed["after_raw"]) == ("n2", "n2")
        assert done["starts"] == 1
        assert pair.shadows() == []
        assert made(home, mover) == 2, "the first pod, and its one replacement"
        (after,) = pods(home, mover)
        assert after["metadata"]["annotations"]["cpp/moved-from"] == before["metadata"]["uid"]
        _nobody_is_steered_any_more(home, mover)


def _landed(cluster: Cluster, name: str, before: Pod) -> bool:
    found = pods(cluster, name)
    away = [pod for pod in found if pod["metadata"]["uid"] != before["metadata"]["uid"]]
    return found == away and _runs(away) and {pod["spec"].get("nodeName") for pod in away} == {"n2"}


def _over(pair: Pair) -> bool:
    states = [row["state"] for row in pair.rows("steps")]
    return not {"planned", "started"} & set(states) and any(row["state"] == "done" for row in steps(pair, "land"))


def made(cluster: Cluster, name: str) -> int:
    """How many pods the Deployment's ReplicaSet has made so far."""
    events = cluster.get("events", f"--namespace={SHOP}", "--field-selector=reason=SuccessfulCreate")["items"]
    return sum(event["involvedObject"]["name"].startswith(f"{name}-") for event in events)


def _nobody_is_steered_any_more(cluster: Cluster, name: str) -> None:
    (owner,) = cluster.get("replicasets", f"--namespace={SHOP}", f"--selector=app={name}")["items"]
    assert "affinity" not in owner["spec"]["template"]["spec"]
    cluster.kubectl("scale", "deployment", name, f"--namespace={SHOP}", "--replicas=2")
    cluster.wait_for(lambda: len(pods(cluster, name)) == 2, 20.0, "there is one more")
    _, newest = pods(cluster, name)
    assert "affinity" not in newest["spec"]
    assert "cpp/moved-at" not in newest["metadata"].get("annotations", {})
