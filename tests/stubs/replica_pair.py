"""Two replicas beside a real cluster, in a namespace and under rights of their own, and Alertmanager's patience."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from replica import Cluster as Told
from replica import Replica, Seen, configure

from deploy.cluster.cluster import Cluster
from deploy.cluster.identities import issue_token, kubeconfig
from deploy.cluster.node import PAUSE
from deploy.setup.stamps import ROOT

WATCHDOG = {"labels": {"alertname": "CppWatchdog", "cluster": "lab", "severity": "none"}, "fingerprint": "w"}
NAMES = ("one", "two")
_ACCOUNT = "replicas"
_CRD = ROOT / "deploy/kubernetes/crd.yaml"
_GROUP = "rbac.authorization.k8s.io"
Rules = list[dict[str, Any]]


def rule(group: str, resources: list[str], *verbs: str) -> dict[str, Any]:
    """Return a rule of a role."""
    return {"apiGroups": [group], "resources": resources, "verbs": list(verbs)}


_EVERYWHERE = [
    rule("", ["pods", "nodes"], "get", "list"),
    rule("", ["namespaces"], "get"),
    rule("", ["pods", "pods/resize"], "patch"),
    rule("apps", ["replicasets", "deployments"], "get"),
    rule("policy", ["poddisruptionbudgets"], "list"),
    rule("autoscaling", ["horizontalpodautoscalers"], "list"),
    rule("autoscaling.k8s.io", ["verticalpodautoscalers"], "list"),
    rule("events.k8s.io", ["events"], "create"),
]
_AT_HOME = [
    rule("", ["pods"], "create", "delete"),
    rule("coordination.k8s.io", ["leases"], "get", "create", "update"),
    rule("cpp.dev", ["containerorders"], "get", "list", "create", "update", "delete"),
]


@contextmanager
def home_of(cluster: Cluster, namespace: str, more: Rules | None = None) -> Iterator[None]:
    """Make the namespace of the replicas, their account with ``more`` rights, and two pods that stand for them."""
    named = {"name": _ACCOUNT, "namespace": namespace}
    cluster.apply(
        yaml.safe_load(_CRD.read_text()),
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "cpp-shadow"},
         "value": -10, "preemptionPolicy": "Never"},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": named},
        *_role("ClusterRole", {"name": namespace}, namespace, [*_EVERYWHERE, *(more or [])]),
        *_role("Role", named, namespace, _AT_HOME),
        *(_standing_for(name, namespace) for name in NAMES),
    )  # fmt: skip
    yield
    cluster.kubectl("delete", "namespace", namespace, "--wait=false")
    cluster.kubectl("delete", "clusterrole,clusterrolebinding", namespace)
    cluster.kubectl("delete", "crd", "containerorders.cpp.dev")


def _role(kind: str, metadata: dict[str, str], namespace: str, rules: Rules) -> Iterator[dict[str, Any]]:
    head = {"apiVersion": f"{_GROUP}/v1", "metadata": metadata}
    account = {"kind": "ServiceAccount", "name": _ACCOUNT, "namespace": namespace}
    yield {**head, "kind": kind, "rules": rules}
    ref = {"apiGroup": _GROUP, "kind": kind, "name": metadata["name"]}
    yield {**head, "kind": f"{kind}Binding", "roleRef": ref, "subjects": [account]}


def _standing_for(name: str, namespace: str) -> dict[str, Any]:
    """A pod for a replica that runs beside the cluster: the Service's label is put on it."""
    container = {"name": "main", "image": PAUSE, "imagePullPolicy": "Never"}
    spec = {"nodeName": "n2", "containers": [container], "terminationGracePeriodSeconds": 0}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


@dataclass
class Pair:
    """Two replicas of which each can be killed; ``admissions`` has each one's section, by its name."""

    cluster: Cluster
    namespace: str
    directory: Path
    seen: Seen
    told: Told = field(default_factory=Told)
    admissions: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    limits: Mapping[str, Any] = field(default_factory=dict)
    replicas: dict[str, Replica] = field(default_factory=dict)
    _kubeconfig: Path = field(init=False)

    def __enter__(self) -> "Pair":
        token = issue_token(self.cluster, _ACCOUNT, self.directory, self.namespace)
        self._kubeconfig = kubeconfig(self.cluster, token)
        self.replicas = {name: self._start(name) for name in NAMES}
        return self

    def __exit__(self, *_: object) -> None:
        for log in sorted(self.directory.glob("*/actuator.log")):
            print(log.parent.name, log.read_text(), sep="\n")
        for replica in self.replicas.values():
            replica.kill()
        self.cluster.kubectl("delete", "containerorders,leases", "--all", f"--namespace={self.namespace}")

    def leader(self) -> str:
        """Return the one that says that it works; empty where none does."""
        leading = [name for name, replica in self.replicas.items() if _leads(replica)]
        assert len(leading) < 2
        return "".join(leading)

    def kill_leader(self) -> float:
        """Kill it, wait until the other leads, and start another in its place; return the seconds between."""
        former = self.leader()
        self.replicas[former].kill()
        died = time.monotonic()
        self.cluster.wait_for(lambda: self.leader() not in ("", former), 60.0, "the other leads")
        taken_over = time.monotonic() - died
        self.replicas[former] = self._start(former)
        return taken_over

    def deliver(self, *alerts: dict[str, Any]) -> None:
        """Deliver to the one that takes it, again and again as Alertmanager does."""
        for body in ([WATCHDOG], list(alerts)):
            self.cluster.wait_for(lambda body=body: self.try_once(*body), 60.0, "the alerts are taken")

    def try_once(self, *alerts: dict[str, Any]) -> bool:
        """Deliver to both; return whether one took it."""
        return 202 in [replica.post(*alerts) for replica in self.replicas.values()]

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return the rows of a table of the ledger as the objects have them."""
        found = self.cluster.get("containerorders", f"--namespace={self.namespace}")["items"]
        return [row for each in found for row in each["spec"].get("rows", {}).get(table, ())]

    def shadows(self) -> list[dict[str, Any]]:
        """Return the placeholders."""
        found: list[dict[str, Any]] = self.cluster.get(
            "pods", f"--namespace={self.namespace}", "--selector=cpp/part=shadow"
        )["items"]
        return found

    def _start(self, name: str) -> Replica:
        platform = {"kind": "kubernetes", "kubeconfig": str(self._kubeconfig), "namespace": self.namespace}
        sections: dict[str, Any] = {"platform": platform | {"placeholder_image": PAUSE}}
        sections["limits"] = {"start_up_grace": "1s", "actions_per_hour": 100, **self.limits}
        if name in self.admissions:
            sections["admission"] = dict(self.admissions[name])
        # Each has its file for as long as its pod would live; a killed one comes back as another pod.
        home = self.directory / f"{name}-{time.monotonic_ns()}"
        return Replica(configure(home, self._kubeconfig, **sections), self.seen, name, self.told)


def _leads(replica: Replica) -> bool:
    with suppress(OSError):
        return "cpp_leader 1.0" in replica.ask("GET", "/metrics").text
    return False


def alert_about(pod: Mapping[str, Any], intent: str, resource: str = "cpu", status: str = "firing") -> dict[str, Any]:
    """Return an alert about the container ``main`` of a pod that runs."""
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    container = pod["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
    asks = {"alertname": f"Cpp{intent.title()}", "intent": intent, "resource": resource, "severity": "warning"}
    whom = {"node": pod["spec"]["nodeName"], "namespace": namespace, "pod": name, "container": "main"}
    labels = {"cluster": "lab", "container_id": container} | asks | whom
    return {"labels": labels, "status": status, "fingerprint": f"{intent}-{name}"}
