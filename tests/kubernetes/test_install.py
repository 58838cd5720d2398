"""What a user installs: images from the shipped Dockerfiles, the chart by Helm, and nothing left in the end."""

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import requests
import yaml
from kubernetes.utils.quantity import parse_quantity

from deploy.cluster.cluster import Cluster
from deploy.cluster.monitoring import Monitoring
from deploy.cluster.release import HOME, Release
from deploy.demo.configs import Pace
from deploy.setup.shell import SetupError

SHOP = "shop"
PACE = Pace()
MIB = 2**20
CONFIG = "--config.file=/etc/cpp-actuator/actuator.yml"
IDENTITY = "node, namespace, pod, container, container_id, resource"
# Trouble that is worth a move takes minutes to make; so one is told of, and all that follows is real.
SUFFERS = {
    "groups": [
        {
            "name": "scene",
            "rules": [
                {
                    "record": "cpp_interference_suffered_ratio",
                    "expr": 'cpp_cpu_usage_cores{namespace="shop", pod=~"mover-.*", node="n1"} * 0 + 0.6',
                    # The exporter's own, of the same name, must stay another series.
                    "labels": {"resource": "cpu", "scene": "told"},
                },
                {
                    "alert": "CppMigrateNow",
                    "expr": f'max by ({IDENTITY}) (cpp_interference_suffered_ratio{{pod=~"mover-.*"}}) > 0.5',
                    "labels": {"severity": "warning", "intent": "migrate"},
                },
            ],
        }
    ]
}


def labelled(name: str, **labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def values(cluster: Cluster, monitoring: Monitoring) -> dict[str, Any]:
    """A user's values; the paces alone are those of a test."""
    probe = "10.96.0.171"  # there is no DNS
    exporter = {
        "interval": PACE.interval,
        "forecast": dict(PACE.forecast),
        "assess": {"learn": PACE.learn},
        "sources": {"probe": {"url": f"http://{probe}:17901/metrics"}},
    }
    return {
        "prometheus": {"url": monitoring.url("prometheus"), "scrapeInterval": PACE.scrape},
        "exporter": {"config": exporter},
        "actuator": {"dryRun": False, "actsIn": [SHOP], "config": {"limits": dict(PACE.limits)}},
        "probe": {"clusterIP": probe},
    }


@pytest.fixture(scope="module")
def monitoring(cluster: Cluster) -> Iterator[Monitoring]:
    rules = cluster.directory / "scene.yml"
    rules.write_text(yaml.safe_dump(SUFFERS))
    one = Monitoring(cluster, PACE.scrape, [rules])
    yield one
    one.stop()


@pytest.fixture(scope="module")
def before(cluster: Cluster) -> Iterator[set[str]]:
    """All objects before the installation; after that come the namespaces in which it is to be."""
    one, seen = Release(cluster), [set[str]()]

    def settled() -> bool:
        seen.append(one.objects())
        return seen[-1] == seen[-2] and not any(each.startswith("Pod ") for each in seen[-1])

    cluster.wait_for(settled, 60, "pods of earlier tests are gone, and nothing comes or goes any more")
    yield seen[-1]
    cluster.kubectl("delete", "namespace", HOME, SHOP, "--wait=false", "--ignore-not-found")


@pytest.fixture(scope="module")
def release(cluster: Cluster, monitoring: Monitoring, before: set[str]) -> Iterator[Release]:
    one = Release(cluster)
    one.load_images()
    restricted = {"pod-security.kubernetes.io/enforce": "restricted"}
    cluster.apply(labelled(HOME, **restricted), labelled(SHOP, **{"cpp/steer": "enabled"}))
    try:
        one.install(values(cluster, monitoring))
        one.wait("deployment/cpp-actuator")
        one.wait("daemonset/cpp-exporter")
        service = cluster.get("service", "cpp-actuator", f"--namespace={HOME}")
        secret = cluster.get("secret", "cpp-actuator-token", f"--namespace={HOME}")
        token = base64.b64decode(secret["data"]["token"]).decode()
        pods = cluster.get("pods", f"--namespace={HOME}", "--selector=cpp/part=exporter")["items"]
        exporters = [f"{pod['status']['podIP']}:17900" for pod in pods]
        monitoring.start(f"{service['spec']['clusterIP']}:17902", exporters, token)
        yield one
    except SetupError as error:
        pytest.fail(f"{error}\n{_told(cluster)}", pytrace=False)


def deployment(name: str, arguments: list[str], resources: dict[str, str], **more: Any) -> dict[str, Any]:
    """One replica that runs the workload program; ``more`` is of its pod's specification."""
    container = {
        "name": "main",
        "image": "localhost/workload:1",
        "args": arguments,
        "imagePullPolicy": "Never",
        "resources": {"requests": resources, "limits": resources},
    }
    metadata = {"labels": {"app": name}, "annotations": {"cpp/allow-single-replica-move": "true"}}
    pod = {"containers": [container], "terminationGracePeriodSeconds": 1, **more}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": SHOP},
        "spec": {"selector": {"matchLabels": {"app": name}}, "template": {"metadata": metadata, "spec": pod}},
    }


@pytest.fixture(scope="module")
def leak(cluster: Cluster, release: Release) -> dict[str, Any]:
    """A workload that grows towards its limit, and stops short of it; returns its pod as it was at first."""
    grows = ["leak", "--rate=1MiB/s", "--start=24MiB", "--max=130MiB"]
    cluster.apply(deployment("leak", grows, {"cpu": "200m", "memory": "192Mi"}))
    cluster.kubectl("rollout", "status", "deployment/leak", f"--namespace={SHOP}", "--timeout=60s")
    first = _pod(cluster, "leak")
    assert limit(first) == 192
    return first


@pytest.fixture(scope="module")
def mover(cluster: Cluster, release: Release) -> Callable[[], dict[str, Any]]:
    """A workload that would rather be on the first node; returns its pod."""
    first = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}
    wish = {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 10, "preference": first}]}
    spins = ["cpu", "--duty=0.1", "--period=50ms"]
    cluster.apply(
        deployment("mover", spins, {"cpu": "200m", "memory": "64Mi"}, affinity={"nodeAffinity": wish}),
    )
    return lambda: _pod(cluster, "mover")


def limit(pod: dict[str, Any]) -> float:
    """The memory limit in force in MiB, as the kubelet says it."""
    return float(parse_quantity(pod["status"]["containerStatuses"][0]["resources"]["limits"]["memory"])) / MIB


def test_every_pod_is_ready_under_the_pod_security_level_restricted(cluster: Cluster, release: Release) -> None:
    pods = cluster.get("pods", f"--namespace={HOME}")["items"]
    parts = sorted(pod["metadata"]["labels"]["cpp/part"] for pod in pods)
    assert parts == ["actuator", "actuator", "exporter", "exporter"]


def test_the_probe_counts_on_every_node_with_two_capabilities(cluster: Cluster, release: Release) -> None:
    release.wait("daemonset/cpp-probe", "cpp-probe")
    probes = cluster.get("pods", "--namespace=cpp-probe")["items"]
    assert {pod["spec"]["nodeName"] for pod in probes} == set(cluster.nodes)
    address = probes[0]["status"]["podIP"]
    counted = requests.get(f"http://{address}:17901/metrics", timeout=10).text
    assert "container_syscalls_total{" in counted


def test_the_service_leads_prometheus_to_the_one_that_works(release: Release, monitoring: Monitoring) -> None:
    def up() -> dict[str, int]:
        answer = requests.get(f"{monitoring.url('prometheus')}/api/v1/query", {"query": "sum by (job) (up)"}, timeout=5)
        return {row["metric"]["job"]: int(row["value"][1]) for row in answer.json()["data"]["result"]}

    _wait_for(release.cluster, lambda: up() == {"cpp-exporter": 2, "cpp-actuator": 1}, 60, "all jobs are up")


@pytest.mark.usefixtures("leak")  # it grows meanwhile
def test_a_pod_moves_to_the_node_that_the_actuator_chose_and_not_the_scheduler(
    cluster: Cluster, mover: Callable[[], dict[str, Any]]
) -> None:
    cluster.kubectl("rollout", "status", "deployment/mover", f"--namespace={SHOP}", "--timeout=60s")
    before = mover()
    assert before["spec"]["nodeName"] == "n1"
    _wait_for(cluster, lambda: mover()["spec"].get("nodeName") == "n2", 120, "the pod has moved")
    cluster.kubectl("rollout", "status", "deployment/mover", f"--namespace={SHOP}", "--timeout=60s")
    moved = mover()
    assert moved["metadata"]["uid"] != before["metadata"]["uid"]
    wishes = moved["spec"]["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert sorted(wish["weight"] for wish in wishes) == [10, 100]
    shadows = ["pods", f"--namespace={HOME}", "--selector=cpp/part=shadow"]
    _wait_for(cluster, lambda: not cluster.get(*shadows)["items"], 30, "no placeholder is left")


def test_a_leak_gets_its_raise_in_place_from_what_was_installed(cluster: Cluster, leak: dict[str, Any]) -> None:
    _wait_for(cluster, lambda: limit(_pod(cluster, "leak")) == 240, 150, "the leak has its raise")
    pod = _pod(cluster, "leak")
    assert pod["metadata"]["uid"] == leak["metadata"]["uid"]
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0
    assert pod["status"]["qosClass"] == "Guaranteed"


@pytest.mark.usefixtures("leak")
def test_the_owners_limit_is_given_back_before_the_end(cluster: Cluster) -> None:
    said = _actuator(cluster, "restore", "--all", CONFIG)
    assert "main" in said
    assert limit(_pod(cluster, "leak")) == 192


def test_no_request_was_refused_for_want_of_a_right(cluster: Cluster, release: Release) -> None:
    asked = [json.loads(line) for line in cluster.audit.read_text().splitlines()]
    assert asked
    refused = {each["requestURI"] for each in asked if each["responseStatus"].get("code") == 403}
    assert not refused


def test_after_the_uninstallation_nothing_is_left(
    cluster: Cluster, release: Release, monitoring: Monitoring, before: set[str]
) -> None:
    cluster.kubectl("delete", "deployments", "--all", f"--namespace={SHOP}")
    monitoring.stop()
    release.uninstall()
    cluster.kubectl("delete", "namespace", HOME, SHOP)
    with suppress(SetupError):
        cluster.wait_for(lambda: release.objects() == before, 60, "nothing is left")
    now = release.objects()
    assert {"left": sorted(now - before), "taken": sorted(before - now)} == {"left": [], "taken": []}


def _pod(cluster: Cluster, app: str) -> dict[str, Any]:
    """The pod of a workload with one replica, or the newest while one takes over from another."""
    pods = cluster.get("pods", f"--namespace={SHOP}", f"--selector=app={app}")["items"]
    return max(pods, key=lambda pod: pod["metadata"]["creationTimestamp"], default={"spec": {}})


def _actuator(cluster: Cluster, *command: str) -> str:
    pods = cluster.get("pods", f"--namespace={HOME}", "--selector=cpp/leader=true")["items"]
    assert len(pods) == 1, "one replica leads"
    program = "/opt/cpp/bin/cpp-actuator"
    return cluster.kubectl("exec", pods[0]["metadata"]["name"], f"--namespace={HOME}", "--", program, *command)


def _wait_for(cluster: Cluster, predicate: Callable[[], object], timeout: float, what: str) -> None:
    try:
        cluster.wait_for(predicate, timeout, what, pause=1.0)  # nothing here is timed, and each look costs CPU
    except SetupError as error:
        pytest.fail(f"{error}\n{_told(cluster)}", pytrace=False)


def _told(cluster: Cluster) -> str:
    """What the parts say, for a failed test."""
    pods = cluster.kubectl("get", "pods", "--all-namespaces", "--output=wide")
    logs = [
        cluster.kubectl("logs", f"--namespace={where}", f"--selector=cpp/part={part}", "--tail=15", "--prefix")
        for where, part in ((HOME, "actuator"), (HOME, "exporter"), ("cpp-probe", "probe"))
    ]
    return "\n".join([pods, *logs])
