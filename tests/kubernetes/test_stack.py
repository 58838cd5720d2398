"""From a kubelet's cAdvisor to the control group: what was forecast is done before it is needed, on real pods."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
import requests

from deploy.cluster.cluster import Cluster
from deploy.cluster.identities import NAMESPACE
from deploy.cluster.stack import Stack
from deploy.demo.ledger import Verdict, read_verdicts
from deploy.demo.workloads import BUSY, DEMAND, PERIOD, SERVICE_LIMIT
from exporter.sources.exposition import NO_SAMPLES, parse, parse_labels
from exporter.sources.pods import quantity

WORKLOAD = "localhost/workload:1"
NETWORK = "cpp_network_io_bytes_per_second"
PATIENCE = 240.0
IDLE_LIMIT, LEAST = 0.4, 0.05
WORKED_OFF = BUSY * DEMAND / SERVICE_LIMIT


@dataclass
class Service:
    """A Deployment of one pod."""

    name: str
    pod: dict[str, Any] = field(default_factory=dict)

    @property
    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.pod["status"]["containerStatuses"][0]
        return found

    @property
    def name_of_pod(self) -> str:
        return str(self.pod["metadata"]["name"])

    @property
    def started(self) -> float:
        """Epoch seconds."""
        return datetime.fromisoformat(self.status["state"]["running"]["startedAt"]).timestamp()

    def limit(self, resource: str) -> float:
        """Return what it asks for now, in cores or bytes."""
        return quantity(self.pod["spec"]["containers"][0]["resources"]["limits"][resource])

    @property
    def container_id(self) -> str:
        return str(self.status["containerID"]).rpartition("/")[2]


@pytest.fixture(scope="module")
def services(cluster: Cluster, stack: Stack, deploy: Callable[..., None]) -> Iterator[dict[str, Service]]:
    """One whose demand rises every PERIOD seconds since the epoch over its limit, and one given far too much."""
    high = [f"--high={DEMAND}", "--low=0.05", f"--period={PERIOD:.0f}s", f"--high-for={BUSY:.0f}s", "--align"]
    deploy("service", "n1", ["rhythm", *high], {"cpu": f"{SERVICE_LIMIT * 1000:.0f}m", "memory": "64Mi"})
    # Where use hardly moves, how a container began counts for minutes against any forecast but last value's.
    little = ["--high=0.08", "--low=0.02", "--period=20s", "--high-for=10s"]
    deploy("idle", "n2", ["rhythm", *little], {"cpu": f"{IDLE_LIMIT * 1000:.0f}m", "memory": "64Mi"})
    found = {name: Service(name) for name in ("service", "idle")}
    for service in found.values():
        cluster.wait_for(lambda service=service: look(cluster, service), 60, f"{service.name} runs")
    yield found
    cluster.kubectl("delete", "deployments", *found, "--wait=false")


def look(cluster: Cluster, service: Service) -> bool:
    """Read its pod anew; return whether it is ready."""
    pods = cluster.get("pods", f"--selector=app={service.name}")["items"]
    service.pod = pods[0] if len(pods) == 1 else {}
    return bool(service.pod and service.pod["status"].get("containerStatuses") and service.status["ready"])


def series(stack: Stack, node: str, metric: str) -> list[tuple[dict[str, str], float]]:
    """Return labels and values of a metric that a node's exporter serves."""
    text = requests.get(f"{stack.url(node)}/metrics", timeout=5).content
    family = parse(text, frozenset({metric})).get(metric, NO_SAMPLES)
    return [(parse_labels(key), float(value)) for key, value in zip(family.keys, family.values, strict=True)]


def of(found: list[tuple[dict[str, str], float]], pod: str, container: str = "main") -> tuple[dict[str, str], float]:
    return next(row for row in found if (row[0]["pod"], row[0]["container"]) == (pod, container))


def known(stack: Stack, node: str, pod: str) -> set[str]:
    """Return the containers of a pod that a node's exporter knows to run, and "" where it knows its traffic."""
    traffic = {"" for labels, _ in series(stack, node, NETWORK) if labels["pod"] == pod}
    running = series(stack, node, "cpp_container_info")
    return traffic | {labels["container"] for labels, _ in running if labels["pod"] == pod and labels["runtime"]}


@pytest.mark.parametrize(("name", "node", "other"), [("service", "n1", "idle"), ("idle", "n2", "service")])
def test_each_nodes_exporter_knows_its_pods_as_the_kubelet_does(
    cluster: Cluster, stack: Stack, services: dict[str, Service], name: str, node: str, other: str
) -> None:
    service, pod = services[name], services[name].name_of_pod
    told = f"the exporter of {node} knows the traffic of {pod}, and that it runs"
    cluster.wait_for(lambda: {"", "main"} <= known(stack, node, pod), 30, told)
    info, _ = of(series(stack, node, "cpp_container_info"), pod)
    assert info["workload"] == f"default/{name}/main"
    assert (info["tenant"], info["image"], info["node"]) == ("default", WORKLOAD, node)
    assert info["container_id"] == service.container_id
    asked = service.pod["spec"]["containers"][0]["resources"]["requests"]
    assert of(series(stack, node, "cpp_cpu_request_cores"), pod)[1] == pytest.approx(quantity(asked["cpu"]))
    assert of(series(stack, node, "cpp_memory_request_bytes"), pod)[1] == pytest.approx(quantity(asked["memory"]))
    assert of(series(stack, node, NETWORK), pod, "")[0]["container_id"] == ""
    assert {labels["container"] for labels, _ in series(stack, node, NETWORK)} == {""}
    assert known(stack, node, services[other].name_of_pod) == set()


def test_a_node_can_hold_what_its_kubelet_can_allocate(stack: Stack, cluster: Cluster) -> None:
    allocatable = cluster.get("node", "n1")["status"]["allocatable"]
    assert series(stack, "n1", "cpp_node_cpu_capacity_cores")[0][1] == int(allocatable["cpu"])
    memory = int(allocatable["memory"].removesuffix("Ki")) * 1024
    evicted_at = 100 << 20
    assert series(stack, "n1", "cpp_node_memory_capacity_bytes")[0][1] == pytest.approx(memory + evicted_at, rel=0.001)


def test_the_exporter_may_read_and_nothing_else(cluster: Cluster, stack: Stack) -> None:
    who = f"system:serviceaccount:{NAMESPACE}:cpp-exporter"
    may = {what: can(cluster, who, what) for what in ("nodes/metrics", "nodes/pods", "nodes/proxy", "nodes", "pods")}
    assert may == {"nodes/metrics": True, "nodes/pods": True, "nodes/proxy": False, "nodes": False, "pods": False}
    for node in cluster.nodes:
        assert {labels["source"]: up for labels, up in series(stack, node, "cpp_up")} == {"cadvisor": 1, "kubelet": 1}


def can(cluster: Cluster, who: str, what: str) -> bool:
    """Return whether ``who`` may get ``what``, a resource or one's part as in ``nodes/pods``."""
    resource, _, part = what.partition("/")
    asked = {"namespace": "default", "verb": "get", "resource": resource, "subresource": part}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": who, "resourceAttributes": asked},
    }
    answer = cluster.kubectl("create", "--filename=-", "--output=json", stdin=json.dumps(review))
    return bool(json.loads(answer)["status"]["allowed"])


def test_cpu_is_reserved_and_given_before_the_demand_rises(
    cluster: Cluster, stack: Stack, services: dict[str, Service], in_kernel: Callable[[str, str], float]
) -> None:
    service = services["service"]
    cluster.wait_for(
        lambda: in_kernel(service.name_of_pod, "cpu") > SERVICE_LIMIT, PATIENCE, "more CPU in the service's kernel"
    )
    raised, given = time.time(), in_kernel(service.name_of_pod, "cpu")
    cluster.wait_for(lambda: done(stack, "activate", "set_limit"), 10, "the ledger says who raised it")
    [activated], [reserved, *_] = done(stack, "activate", "set_limit"), done(stack, "reserve", "reserve")
    tell(service, f"{SERVICE_LIMIT:g} to {given:g} cores", raised, [reserved, activated])
    assert raised % PERIOD > WORKED_OFF, "it was raised while the demand was high already"
    assert reserved.at < activated.at < raised + 1
    is_as_it_was_but_for_cpu(cluster, service, in_kernel)


def test_what_is_given_and_never_used_is_taken_back_with_its_request(
    cluster: Cluster, stack: Stack, services: dict[str, Service], in_kernel: Callable[[str, str], float]
) -> None:
    service = services["idle"]
    cluster.wait_for(
        lambda: in_kernel(service.name_of_pod, "cpu") < IDLE_LIMIT, PATIENCE, "less CPU in the idle pod's kernel"
    )
    cluster.wait_for(lambda: done(stack, "reclaim", "set_limit"), 10, "the ledger says who lowered it")
    left, [reclaimed, *_] = in_kernel(service.name_of_pod, "cpu"), done(stack, "reclaim", "set_limit")
    tell(service, f"{IDLE_LIMIT:g} to {left:g} cores", reclaimed.at, [reclaimed])
    assert left >= LEAST, "what a container is left to live on"
    is_as_it_was_but_for_cpu(cluster, service, in_kernel)


def done(stack: Stack, intent: str, step: str) -> list[Verdict]:
    """Return the decisions of an intent of which a step was done, oldest first."""
    return [each for each in read_verdicts(stack.url("actuator")) if each.intent == intent and each.done(step)]


def is_as_it_was_but_for_cpu(cluster: Cluster, service: Service, in_kernel: Callable[[str, str], float]) -> None:
    """Check that the request went with the limit, and that all else of the pod is the same."""
    before = service.pod
    cluster.wait_for(
        lambda: look(cluster, service) and abs(service.limit("cpu") - in_kernel(service.name_of_pod, "cpu")) < 0.002,
        10,
        f"{service.name} has in the kernel what it asks for",
    )
    resources = service.pod["spec"]["containers"][0]["resources"]
    assert resources["requests"] == resources["limits"]
    assert resources["limits"]["memory"] == before["spec"]["containers"][0]["resources"]["limits"]["memory"]
    assert service.status["restartCount"] == 0
    assert service.container_id == before["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
    assert service.pod["status"]["qosClass"] == before["status"]["qosClass"] == "Guaranteed"


def tell(service: Service, what: str, at: float, verdicts: list[Verdict]) -> None:
    steps = ", ".join(f"{verdict.intent} {verdict.at - at:+.1f} s" for verdict in verdicts)
    ran, rise = at - service.started, PERIOD - at % PERIOD
    print(f"\n{service.name}: {what} in the kernel {ran:.0f} s after it ran, {rise:.0f} s before a rise ({steps})")
