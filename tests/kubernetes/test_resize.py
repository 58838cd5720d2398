"""From a delivery to the kernel of a real node and back: the whole actuator, under rights of its own."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from autoscalers import HORIZONTAL, RECOMMENDS, VERTICAL, VERTICAL_KIND
from kubernetes.client import ApiClient
from prometheus import StubPrometheus
from worker_scene import HOME, Scene, as_actuator, settings, settle_in

from actuator.model.orders import Target
from actuator.observe import Observer
from actuator.platforms.kubernetes.api import Api
from actuator.platforms.kubernetes.platform import KubernetesPlatform
from actuator.platforms.settings import KubernetesConfig
from deploy.cluster.cluster import Cluster
from deploy.cluster.identities import issue_token, kubeconfig

ROOT = Path(__file__).parents[2]
WORKLOAD = "localhost/workload:1"
RESTARTS = {"resourceName": "cpu", "restartPolicy": "RestartContainer"}
MIB = 2**20
CALM = {"usage": 0.05, "forecast": 0.05, "top": 0.06, "peak": 0.06, "node_capacity": 2.0, "node_forecast": 0.3}
LEAN = {"usage": 20.0 * MIB, "forecast": 20.0 * MIB, "top": 20.0 * MIB, "peak": 20.0 * MIB,
        "node_capacity": 2.0**32, "node_forecast": 2.0**28}  # fmt: skip


@pytest.fixture(scope="module")
def own_client(cluster: Cluster) -> Iterator[ApiClient]:
    settle_in(cluster)
    with as_actuator(cluster) as client:
        yield client


@pytest.fixture
def truth() -> Iterator[StubPrometheus]:
    with StubPrometheus() as prometheus:
        yield prometheus


@pytest.fixture
def scene(cluster: Cluster, own_client: ApiClient, truth: StubPrometheus, tmp_path: Path) -> Iterator[Scene]:
    observer = Observer(truth.url, 5.0, 15.0)
    platform = KubernetesPlatform(Api(own_client, 5.0), KubernetesConfig(resize_patience=20.0), observer.memory_in_use)
    with Scene(cluster, settings(tmp_path), platform, observer) as one:
        yield one


@pytest.fixture
def pods(cluster: Cluster, truth: StubPrometheus) -> Iterator[Callable[..., Target]]:
    """Run a pod on n1, Guaranteed unless its requests are given; Prometheus knows it as calm."""
    names: list[str] = []

    def run(name: str, requests: dict[str, str] | None = None, more: Any = None, **metadata: Any) -> Target:
        limits = {"cpu": "400m", "memory": "64Mi"}
        resources = {"requests": requests or limits, "limits": limits}
        container = {"name": "main", "image": WORKLOAD, "args": ["sleep"], "resources": resources, **(more or {})}
        spec = {"nodeName": "n1", "containers": [container], "terminationGracePeriodSeconds": 0}
        names.append(name)
        cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, **metadata}, "spec": spec})
        cluster.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")
        truth.known |= {(name, "cpu"): dict(CALM), (name, "memory"): dict(LEAN)}
        identity = cluster.get("pod", name)["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
        return Target("n1", "default", name, "main", identity)

    yield run
    cluster.kubectl("delete", "pods", *names, "--grace-period=0", "--force", "--ignore-not-found")


def ask(scene: Scene, truth: StubPrometheus, target: Target, intent: str, resource: str = "cpu") -> None:
    truth.firing[f"Cpp{intent.title()}"] = [target]
    scene.alert(target, intent, resource)


def limits(cluster: Cluster, name: str) -> tuple[Any, Any]:
    resources = cluster.get("pod", name)["spec"]["containers"][0]["resources"]
    return resources["requests"], resources["limits"]


def events(cluster: Cluster, name: str) -> list[dict[str, Any]]:
    ours = "--field-selector=involvedObject.kind=Pod,involvedObject.name=" + name
    found = cluster.get("events", ours)["items"]
    return [each for each in found if each.get("reportingComponent") == "cpp-actuator"]


def reasons(scene: Scene, target: Target) -> list[str]:
    return [event["reason"] for event in events(scene.cluster, target.pod)]


def restore(cluster: Cluster, truth: StubPrometheus, directory: Path, *which: str) -> str:
    """Run ``cpp-actuator restore`` with a ledger that knows nothing."""
    access = kubeconfig(cluster, issue_token(cluster, "actuator", directory, HOME))
    document = {
        "cluster": "lab",
        "webhook": {"token_file": str(directory / "token")},
        "ledger": {"path": str(directory / "empty.sqlite")},
        "prometheus": {"url": truth.url},
        "platform": {"kind": "kubernetes", "kubeconfig": str(access)},
    }
    (directory / "actuator.yml").write_text(yaml.safe_dump(document))
    command = [sys.executable, "-m", "actuator", "restore", "--config.file", str(directory / "actuator.yml"), *which]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_limits_and_requests_go_down_in_step_and_come_back_with_an_empty_ledger(
    cluster: Cluster, scene: Scene, truth: StubPrometheus, pods: Callable[..., Target], tmp_path: Path,
    quota: Callable[[str], float],
) -> None:  # fmt: skip
    target = pods("spare", {"cpu": "200m", "memory": "32Mi"})
    pods("beside")
    before = cluster.get("pod", "spare")
    ask(scene, truth, target, "reclaim")
    scene.wait(lambda: quota("spare") == 0.2, "the limit is lower in the kernel")
    truth.firing = {}
    scene.wait(lambda: scene.steps()[0]["state"] == "done", "the step is recorded as done")
    after = cluster.get("pod", "spare")
    assert limits(cluster, "spare")[0]["cpu"] == "100m"
    assert after["status"]["qosClass"] == before["status"]["qosClass"] == "Burstable"
    assert after["status"]["containerStatuses"][0]["restartCount"] == 0
    owner = json.loads(after["metadata"]["annotations"]["cpp/owner-resources"])
    assert owner["main"]["limits"] == {"cpu": "400m", "memory": str(64 * MIB)}
    assert owner["main"]["requests"] == {"cpu": "200m", "memory": str(32 * MIB)}
    assert [event["reason"] for event in events(cluster, "spare")] == ["Plan"]
    said = restore(cluster, truth, tmp_path, "--container=spare")
    assert "default/spare/main: cpu 200m -> 400m" in said
    assert quota("spare") == 0.4
    assert limits(cluster, "spare")[0]["cpu"] == "200m"
    assert "cpp/owner-resources" not in cluster.get("pod", "spare")["metadata"].get("annotations", {})
    assert "the owner's limits are in force" in restore(cluster, truth, tmp_path, "--container=spare")


def test_a_guaranteed_pod_is_throttled_raised_and_stays_what_it_is(
    cluster: Cluster, scene: Scene, truth: StubPrometheus, pods: Callable[..., Target], quota: Callable[[str], float]
) -> None:
    target = pods("noble")
    truth.known["noble", "cpu"]["usage"] = 0.36
    ask(scene, truth, target, "relieve")
    scene.wait(lambda: quota("noble") == 0.18, "it is throttled in the kernel")
    assert limits(cluster, "noble")[0]["cpu"] == limits(cluster, "noble")[1]["cpu"] == "180m"
    truth.firing = {"CppMemoryLeak": [target]}
    scene.alert(target, "relieve", status="resolved")
    leaky = pods("leaky")
    truth.firing = {"CppMemoryLeak": [leaky]}
    scene.alert(leaky, "activate", "memory", name="CppMemoryLeak")
    wanted = str(80 * MIB)
    scene.wait(lambda: limits(cluster, "leaky")[1]["memory"] == wanted, "the leak has its one raise")
    scene.wait(lambda: scene.steps()[0]["state"] == "done", "the raise is in force")
    for name in ("noble", "leaky"):
        pod = cluster.get("pod", name)
        assert pod["status"]["qosClass"] == "Guaranteed"
        assert pod["status"]["containerStatuses"][0]["restartCount"] == 0
    assert limits(cluster, "leaky")[0]["memory"] == wanted


@pytest.mark.parametrize(
    ("written", "code", "reason"),
    [
        ({"annotations": {"cpp/opt-out": "true"}}, "opted_out", "OptedOut"),
        ({"annotations": {"cpp/opt-out": "yes please"}}, "bad_annotation", "BadAnnotation"),
        ({"more": {"resizePolicy": [RESTARTS]}}, "would_restart", "WouldRestart"),
    ],
)
def test_what_is_left_alone_has_the_reason_as_an_event_and_in_the_ledger(
    scene: Scene, truth: StubPrometheus, pods: Callable[..., Target], written: Any, code: str, reason: str
) -> None:
    target = pods(reason.lower(), **written)
    ask(scene, truth, target, "reclaim")
    scene.wait(
        lambda: reason in [event["reason"] for event in events(scene.cluster, target.pod)], f"{reason} is an event"
    )
    assert limits(scene.cluster, target.pod)[1]["cpu"] == "400m"
    assert code in [each["code"] for action in scene.service.ledger.actions(5) for each in action["decisions"]]
    assert scene.cluster.get("pod", target.pod)["status"]["containerStatuses"][0]["restartCount"] == 0


@pytest.fixture
def scaled(cluster: Cluster, truth: StubPrometheus) -> Iterator[Target]:
    """The pod of a Deployment that uses little of what it has."""
    resources = {"requests": {"cpu": "100m", "memory": "32Mi"}, "limits": {"cpu": "200m", "memory": "64Mi"}}
    container = {"name": "main", "image": WORKLOAD, "args": ["sleep"], "resources": resources}
    pod = {"containers": [container], "terminationGracePeriodSeconds": 0}
    template = {"metadata": {"labels": {"app": "scaled"}}, "spec": pod}
    spec = {"selector": {"matchLabels": {"app": "scaled"}}, "template": template}
    cluster.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "scaled"}, "spec": spec})
    cluster.kubectl("rollout", "status", "deployment/scaled", "--timeout=60s")
    (found,) = cluster.get("pods", "--selector=app=scaled")["items"]
    name, status = found["metadata"]["name"], found["status"]["containerStatuses"][0]
    truth.known |= {(name, "cpu"): dict(CALM), (name, "memory"): dict(LEAN)}
    yield Target(found["spec"]["nodeName"], "default", name, "main", status["containerID"].rpartition("/")[2])
    cluster.kubectl("delete", "deployment/scaled", "--cascade=foreground", "--timeout=30s")


@pytest.fixture(scope="module")
def vertical_kind(cluster: Cluster) -> Iterator[None]:
    """The cluster knows vertical autoscalers, though nobody works for them."""
    name = f"crd/{VERTICAL_KIND['metadata']['name']}"
    cluster.apply(VERTICAL_KIND)
    cluster.kubectl("wait", "--for=condition=Established", name, "--timeout=30s")
    yield
    cluster.kubectl("delete", name)


@pytest.mark.usefixtures("vertical_kind")
@pytest.mark.parametrize("scaler", [HORIZONTAL, VERTICAL], ids=lambda scaler: str(scaler["kind"]))
def test_an_autoscaler_on_the_same_resource_is_the_reason(
    cluster: Cluster, scene: Scene, truth: StubPrometheus, scaled: Target, scaler: dict[str, Any]
) -> None:
    cluster.apply(scaler)
    try:
        ask(scene, truth, scaled, "reclaim")
        scene.wait(lambda: events(cluster, scaled.pod), "the reason is an event")
        (event,) = events(cluster, scaled.pod)
        assert event["reason"] == "Managed"
        assert f"{scaler['kind']} scaler" in event["message"]
        (action,) = scene.service.ledger.actions(5)
        assert [decision["code"] for decision in action["decisions"]] == ["managed"]
        assert limits(cluster, scaled.pod)[1]["cpu"] == "200m"
    finally:
        cluster.kubectl("delete", scaler["kind"], "scaler")


@pytest.mark.usefixtures("vertical_kind")
def test_a_vertical_autoscaler_that_only_recommends_is_no_reason(
    cluster: Cluster, scene: Scene, truth: StubPrometheus, scaled: Target, quota: Callable[[str], float]
) -> None:
    cluster.apply(RECOMMENDS)
    try:
        ask(scene, truth, scaled, "reclaim")
        scene.wait(lambda: quota(scaled.pod) < 0.2, "its limit is lower in the kernel")
    finally:
        cluster.kubectl("delete", "VerticalPodAutoscaler", "scaler")
