"""Two replicas under rights of their own: one works, and what it leaves when it is killed the other goes on with."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from replica import Replica, Seen, configure

from deploy.cluster import control
from deploy.cluster.cluster import Cluster
from deploy.cluster.node import PAUSE
from deploy.demo.children import stop_child
from deploy.setup.stamps import ROOT

HOME = "cpp-replicas"
TAKEN_OVER_WITHIN = 20.0
WATCHDOG = {"labels": {"alertname": "CppWatchdog", "cluster": "lab", "severity": "none"}, "fingerprint": "w"}
NODE = {"node_capacity": 2.0, "node_forecast": 0.5}
SEEN: Seen = {
    "reserve": {"usage": 0.1, "forecast": 0.3, **NODE},
    "activate": {"usage": 0.19, "forecast": 0.3, **NODE},
    "release": {"usage": 0.02},
    "relieve": {"usage": 0.19},
    "reclaim": {"usage": 0.02, "peak": 0.05, "forecast_top": 0.05, "history_seconds": 90_000.0},
}
CRD = ROOT / "deploy/kubernetes/crd.yaml"


def rule(group: str, resources: list[str], *verbs: str) -> dict[str, Any]:
    return {"apiGroups": [group], "resources": resources, "verbs": list(verbs)}


EVERYWHERE = [
    rule("", ["pods", "nodes"], "get", "list"),
    rule("", ["namespaces"], "get"),
    rule("", ["pods", "pods/resize"], "patch"),
    rule("apps", ["replicasets", "deployments"], "get"),
    rule("policy", ["poddisruptionbudgets"], "list"),
    rule("autoscaling", ["horizontalpodautoscalers"], "list"),
    rule("autoscaling.k8s.io", ["verticalpodautoscalers"], "list"),
    rule("events.k8s.io", ["events"], "create"),
]
AT_HOME = [
    rule("", ["pods"], "create", "delete"),
    rule("coordination.k8s.io", ["leases"], "get", "create", "update"),
    rule("cpp.dev", ["containerorders"], "get", "list", "create", "update", "delete"),
]


@pytest.fixture(scope="module")
def home(cluster: Cluster) -> Iterator[Cluster]:
    """The namespace of the replicas, their account, and two pods that stand for them."""
    kind, named, place = "rbac.authorization.k8s.io/v1", {"name": "replicas"}, {"namespace": HOME}
    account = {"kind": "ServiceAccount", "name": "replicas", "namespace": HOME}
    documents = [
        yaml.safe_load(CRD.read_text()),
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": HOME}},
        {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "cpp-shadow"},
         "value": -10, "preemptionPolicy": "Never"},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": named | place},
        {"apiVersion": kind, "kind": "ClusterRole", "metadata": named, "rules": EVERYWHERE},
        {"apiVersion": kind, "kind": "Role", "metadata": named | place, "rules": AT_HOME},
    ]  # fmt: skip
    for role, binding, where in (("ClusterRole", "ClusterRoleBinding", {}), ("Role", "RoleBinding", place)):
        ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": role, "name": "replicas"}
        documents.append(
            {"apiVersion": kind, "kind": binding, "metadata": named | where, "roleRef": ref, "subjects": [account]}
        )
    cluster.apply(*documents)
    for name in ("one", "two"):
        cluster.apply(standing_for(name))
    yield cluster
    cluster.kubectl("delete", "namespace", HOME, "--wait=false")
    cluster.kubectl("delete", "clusterrole,clusterrolebinding", "replicas")
    cluster.kubectl("delete", "crd", "containerorders.cpp.dev")


def standing_for(name: str) -> dict[str, Any]:
    """A pod for a replica that runs beside the cluster: the Service's label is put on it."""
    container = {"name": "main", "image": PAUSE, "imagePullPolicy": "Never"}
    spec = {"nodeName": "n2", "containers": [container], "terminationGracePeriodSeconds": 0}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": HOME}, "spec": spec}


class Pair:
    """Two replicas, and Alertmanager's patience with them."""

    def __init__(self, cluster: Cluster, kubeconfig: Path, directory: Path) -> None:
        self.cluster, self._kubeconfig, self._directory = cluster, kubeconfig, directory
        self.replicas = {name: self._start(name) for name in ("one", "two")}

    def leader(self) -> str:
        """Return the one that says that it works; empty where none does."""
        leading = [name for name, replica in self.replicas.items() if self._leads(replica)]
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
        return 202 in [replica.post(*alerts) for replica in self.replicas.values()]

    def rows(self, table: str) -> list[dict[str, Any]]:
        found = self.cluster.get("containerorders", f"--namespace={HOME}")["items"]
        return [row for each in found for row in each["spec"].get("rows", {}).get(table, ())]

    def kill_all(self) -> None:
        for replica in self.replicas.values():
            replica.kill()

    def _start(self, name: str) -> Replica:
        platform = {"kind": "kubernetes", "kubeconfig": str(self._kubeconfig), "namespace": HOME}
        platform |= {"placeholder_image": PAUSE}
        # Each has its file for as long as its pod would live; a killed one comes back as another pod.
        home = self._directory / f"{name}-{time.monotonic_ns()}"
        limits = {"start_up_grace": "1s", "actions_per_hour": 100}
        config = configure(home, self._kubeconfig, platform=platform, limits=limits)
        return Replica(config, SEEN, pod=name)

    def _leads(self, replica: Replica) -> bool:
        with suppress(OSError):
            return "cpp_leader 1.0" in replica.ask("GET", "/metrics").text
        return False


@pytest.fixture
def pair(home: Cluster, tmp_path: Path) -> Iterator[Pair]:
    token = home.kubectl("create", "token", "replicas", f"--namespace={HOME}", "--duration=1h").strip()
    cluster = {"server": home.server, "certificate-authority": str(home.authority.certificate)}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": token}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    }
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(document))
    one = Pair(home, tmp_path / "kubeconfig", tmp_path)
    try:
        home.wait_for(one.leader, 30.0, "one of them leads")
        yield one
    finally:
        for log in sorted(tmp_path.glob("*/actuator.log")):
            print(log.parent.name, log.read_text(), sep="\n")
        one.kill_all()
        home.kubectl("delete", "containerorders,leases", "--all", f"--namespace={HOME}")


@pytest.fixture
def alert(home: Cluster) -> Callable[..., dict[str, Any]]:
    """An alert about a pod's container: ``alert(pod, intent, status)``."""

    def make(name: str, intent: str, status: str = "firing") -> dict[str, Any]:
        home.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")
        found = home.get("pod", name)
        container = found["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
        asks = {"alertname": f"Cpp{intent.title()}", "intent": intent, "resource": "cpu", "severity": "warning"}
        whom = {"node": found["spec"]["nodeName"], "namespace": "default", "pod": name, "container": "main"}
        labels = {"cluster": "lab", "container_id": container} | asks | whom
        return {"labels": labels, "status": status, "fingerprint": f"{intent}-{name}"}

    return make


def labelled(cluster: Cluster) -> list[str]:
    found = cluster.get("pods", f"--namespace={HOME}", "--selector=cpp/leader=true")["items"]
    return [each["metadata"]["name"] for each in found]


def test_a_killed_leader_is_followed_in_time_and_no_alert_is_lost_or_doubled(
    pair: Pair, run_pod: Callable[..., None], quota: Callable[[str], float], alert: Callable[..., dict[str, Any]]
) -> None:
    pods = ["before", "meanwhile", "after"]
    for name in pods:
        run_pod(name, "n1", "200m")
    alerts = {name: alert(name, "relieve") for name in pods}
    former = pair.leader()
    other = pair.replicas["two" if former == "one" else "one"]
    assert other.post(alerts["before"]) == 503
    assert other.ask("GET", "/-/ready").status_code == 200
    pair.cluster.wait_for(lambda: labelled(pair.cluster) == [former], 10.0, "the leader's pod has the label")
    pair.deliver(alerts["before"])
    pair.cluster.wait_for(lambda: quota("before") == 0.095, 20.0, "the first is throttled")
    shown = pair.cluster.kubectl("get", "containerorders", f"--namespace={HOME}")
    assert "default/before/main" in shown
    assert "THROTTLED UNTIL" in shown
    assert pair.replicas[former].post(alerts["meanwhile"]) == 202
    taken_over = pair.kill_leader()
    print(f"taken over after {taken_over:.1f} s")
    assert taken_over < TAKEN_OVER_WITHIN
    pair.deliver(*alerts.values())
    for name in pods:
        pair.cluster.wait_for(lambda name=name: quota(name) == 0.095, 20.0, f"{name} is throttled")
    pair.cluster.wait_for(lambda: labelled(pair.cluster) == [pair.leader()], 10.0, "the label has moved")
    pair.cluster.wait_for(lambda: {row["state"] for row in pair.rows("steps")} == {"done"}, 20.0, "all is recorded")
    assert len(pair.rows("steps")) == 3
    assert len(pair.rows("orders")) == len({row["id"] for row in pair.rows("orders")}) == 3


def test_the_api_server_may_stop_and_start_in_the_middle(
    pair: Pair, run_pod: Callable[..., None], quota: Callable[[str], float], alert: Callable[..., dict[str, Any]]
) -> None:
    run_pod("patient", "n1", "200m")
    asked, cluster = alert("patient", "relieve"), pair.cluster
    pair.deliver(WATCHDOG)
    (server,) = [child for child in cluster._children if child.name == "apiserver"]
    stop_child(server)
    cluster._children.remove(server)
    assert not pair.try_once(asked)
    time.sleep(12)
    assert pair.leader() == ""
    cluster._start("apiserver", control.api_server(cluster.authority, cluster._ports, cluster.audit))
    # A kubelet that lost the API server asks again later and later; what is timed here begins when n1's is back.
    run_pod("newcomer", "n1", "50m")
    cluster.kubectl("wait", "--for=condition=Ready", "pod/newcomer", "--timeout=60s")
    pair.deliver(asked)
    cluster.wait_for(lambda: quota("patient") == 0.095, 30.0, "it is throttled")
    time.sleep(3)
    assert quota("patient") == 0.095
    assert [row["state"] for row in pair.rows("steps")] == ["done"]


@pytest.mark.parametrize(
    ("intents", "cores"),
    [
        (["reserve"], 0.2),
        (["reserve", "activate"], 0.33),
        (["reserve", "release"], 0.2),
        (["relieve"], 0.095),
        (["reclaim"], 0.1),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_killed_at_work_it_leaves_nothing_half_done(
    pair: Pair,
    run_pod: Callable[..., None],
    quota: Callable[[str], float],
    alert: Callable[..., dict[str, Any]],
    intents: list[str],
    cores: float,
) -> None:
    name, last = f"killed-{intents[-1]}", intents[-1]
    run_pod(name, "n1", "200m")
    for intent in intents[:-1]:
        pair.deliver(alert(name, intent))
        pair.cluster.wait_for(lambda: pair.rows("reservations"), 20.0, "it is reserved")
        pair.deliver(alert(name, intent, "resolved"))
    pair.deliver(alert(name, last))
    assert pair.kill_leader() < TAKEN_OVER_WITHIN
    pair.deliver(alert(name, last))

    def all_is_well() -> bool:
        shadows = pair.cluster.get("pods", f"--namespace={HOME}", "--selector=cpp/part=shadow")["items"]
        reserved, steps = pair.rows("reservations"), pair.rows("steps")
        ended = all(row["state"] not in ("planned", "started") for row in steps)
        return quota(name) == cores and ended and len(shadows) == len(reserved) == (last == "reserve")

    pair.cluster.wait_for(all_is_well, 30.0, "all is well")
    time.sleep(3)
    assert all_is_well()
    assert sum(row["kind"] == "set_limit" and row["state"] == "done" for row in pair.rows("steps")) == (
        last not in ("reserve", "release")
    )
    restarts = pair.cluster.get("pod", name)["status"]["containerStatuses"][0]["restartCount"]
    assert restarts == 0
