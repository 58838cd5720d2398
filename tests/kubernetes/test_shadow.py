"""Shadow allocation and reclaim on real pods: held, given, released, lost to others, taken back and cleaned up."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import ApiClient
from worker_scene import Scene, Truth, as_actuator, settings, settle_in

from actuator.execute import Executor
from actuator.model.decisions import Step, StepState
from actuator.model.knowledge import Observation
from actuator.model.orders import Target
from actuator.platforms.errors import UnavailableError
from actuator.platforms.kubernetes.api import Api
from actuator.platforms.kubernetes.platform import KubernetesPlatform
from actuator.platforms.settings import KubernetesConfig
from deploy.cluster.cluster import Cluster
from deploy.cluster.node import PAUSE

WORKLOAD = "localhost/workload:1"
NODE = "n1"
CORES = 2.0
PATIENCE = 5.0
DEMAND = Observation(
    at=0.0, firing=True, sample_age=1.0, usage=0.19, forecast=0.35, forecast_top=0.4, peak=0.19, history_seconds=9e4,
    node_capacity=CORES, node_forecast=0.5,
)  # fmt: skip


@pytest.fixture(scope="module")
def own_client(cluster: Cluster) -> Iterator[ApiClient]:
    settle_in(cluster)
    with as_actuator(cluster) as client:
        yield client


@pytest.fixture
def platform(own_client: ApiClient) -> KubernetesPlatform:
    settings = KubernetesConfig(placeholder_image=PAUSE, placeholder_patience=3.0, resize_patience=PATIENCE)
    return KubernetesPlatform(Api(own_client, 5.0), settings, lambda _: 8.0 * 2**20)


@pytest.fixture
def open_scene(cluster: Cluster, platform: KubernetesPlatform, tmp_path: Path) -> Callable[..., Scene]:
    def begin(**limits: Any) -> Scene:
        return Scene(cluster, settings(tmp_path, **limits), platform, Truth(DEMAND))

    return begin


@pytest.fixture
def pods(cluster: Cluster) -> Iterator[Callable[..., Target | None]]:
    """Run a pod that sleeps, on NODE: ``pods(name, cpu)``, with another request, or through the scheduler."""
    names: list[str] = []

    def run(name: str, cpu: str, request: str = "", scheduled: bool = False, wait: bool = True) -> Target | None:
        resources = {"requests": {"cpu": request or cpu, "memory": "32Mi"}, "limits": {"cpu": cpu, "memory": "64Mi"}}
        container = {"name": "main", "image": WORKLOAD, "args": ["sleep"], "resources": resources}
        place = {"nodeSelector": {"kubernetes.io/hostname": NODE}} if scheduled else {"nodeName": NODE}
        spec = {**place, "containers": [container], "terminationGracePeriodSeconds": 0}
        names.append(name)
        cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})
        return target_of(cluster, name) if wait else None

    yield run
    if names:
        cluster.kubectl("delete", "pods", *names, "--grace-period=0", "--force", "--ignore-not-found")
    cluster.kubectl("delete", "pods", "--all", "--namespace=cpp-system", "--grace-period=0", "--force")


def target_of(cluster: Cluster, name: str) -> Target:
    cluster.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")
    container = cluster.get("pod", name)["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
    return Target(NODE, "default", name, "main", container)


def left_on(cluster: Cluster) -> str:
    """Return the cores that no pod on NODE requests, as a quantity."""
    taken = 0
    for pod in cluster.get("pods", "--all-namespaces", f"--field-selector=spec.nodeName={NODE}")["items"]:
        for container in pod["spec"]["containers"]:
            asked = container["resources"].get("requests", {}).get("cpu", "0")
            taken += int(asked[:-1]) if asked.endswith("m") else int(asked) * 1000
    return f"{int(CORES * 1000) - taken}m"


def resources(cluster: Cluster, name: str) -> dict[str, Any]:
    found: dict[str, Any] = cluster.get("pod", name)["spec"]["containers"][0]["resources"]
    return found


def test_a_reservation_is_a_placeholder_on_the_node_until_the_demand_does_not_come(
    cluster: Cluster, open_scene: Callable[..., Scene], pods: Callable[..., Target]
) -> None:
    target = pods("calm", "200m")
    with open_scene() as scene:
        scene.alert(target, "reserve")
        scene.wait(scene.reserved, "it is reserved")
        (shadow,) = scene.shadows()
        assert shadow["spec"]["nodeName"] == NODE
        assert shadow["spec"]["priority"] == -10
        assert shadow["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "185m"}
        assert scene.reserved() == pytest.approx([0.185])
        scene.truth.say(usage=0.05)
        scene.alert(target, "reserve", status="resolved")
        scene.alert(target, "release")
        scene.wait(lambda: not scene.reserved(), "it is released")
        assert scene.shadows() == []
        assert scene.metric('cpp_reservations_ended_total{end="released"}') == 1.0


def test_a_reservation_ends_when_its_time_is_over(
    cluster: Cluster, open_scene: Callable[..., Scene], pods: Callable[..., Target]
) -> None:
    target = pods("late", "200m")
    with open_scene(reservation_ttl="1s") as scene:
        scene.alert(target, "reserve")
        scene.wait(scene.reserved, "it is reserved")
        scene.truth.say(firing=False)
        scene.wait(lambda: not scene.reserved(), "its time is over", 30.0)
        assert scene.shadows() == []
        assert scene.metric('cpp_reservations_ended_total{end="expired"}') == 1.0


def test_a_full_node_refuses_with_the_schedulers_reason(
    cluster: Cluster, open_scene: Callable[..., Scene], pods: Callable[..., Target]
) -> None:
    target = pods("cramped", "200m")
    pods("filler", left_on(cluster))
    with open_scene() as scene:
        scene.alert(target, "reserve")
        scene.wait(lambda: any(step["error"] for step in scene.steps()), "it is refused")
        (step,) = scene.steps()
        assert step["state"] == "reverted"
        assert "Insufficient cpu" in step["error"]
        assert scene.reserved() == []
        assert scene.shadows() == []


def test_a_normal_pod_takes_the_room_and_that_is_recorded(
    cluster: Cluster, open_scene: Callable[..., Scene], pods: Callable[..., Target]
) -> None:
    target = pods("shy", "200m")
    with open_scene() as scene:
        scene.alert(target, "reserve")
        scene.wait(scene.reserved, "it is reserved")
        scene.truth.say(firing=False)
        pods("tenant", f"{int(left_on(cluster)[:-1]) + 100}m", scheduled=True)
        scene.wait(lambda: not scene.reserved(), "the loss is noticed")
        assert scene.shadows() == []
        assert scene.metric('cpp_reservations_ended_total{end="preempted"}') == 1.0
        assert scene.service.ledger.actions(1)[0]["decisions"][-1]["origin"] == "preempted"
        assert "Preempted" in cluster.kubectl("get", "events", "--field-selector=involvedObject.name=shy")
        assert resources(cluster, "shy")["limits"]["cpu"] == "200m"


@pytest.mark.parametrize("full", [False, True])
def test_an_activation_is_in_the_kernel_within_five_seconds_of_the_alert(
    cluster: Cluster,
    open_scene: Callable[..., Scene],
    pods: Callable[..., Target],
    quota: Callable[[str], float],
    full: bool,
) -> None:
    name = f"eager-{full}".lower()
    target = pods(name, "200m")
    with open_scene() as scene:
        scene.alert(target, "reserve")
        scene.wait(scene.reserved, "it is reserved")
        if full:
            pods(f"filler-{name}", left_on(cluster))
        scene.alert(target, "reserve", status="resolved")
        asked = time.monotonic()
        scene.alert(target, "activate")
        scene.wait(lambda: quota(name) == 0.385, "the kernel has it")
        took = time.monotonic() - asked
        print(f"from the alert to the kernel: {took:.2f} s, node full: {full}")
        scene.wait(lambda: not scene.shadows() and not scene.reserved(), "nothing is held any more")
        assert took < 5.0
        assert scene.metric('cpp_reservations_ended_total{end="activated"}') == 1.0
    assert resources(cluster, name)["requests"]["cpu"] == "385m"
    assert cluster.get("pod", name)["status"]["containerStatuses"][0]["restartCount"] == 0


def test_a_raise_that_finds_no_room_is_taken_back_and_its_room_held_again(
    cluster: Cluster, platform: KubernetesPlatform, pods: Callable[..., Target], quota: Callable[[str], float]
) -> None:
    target = pods("stuck", "200m")
    platform.hold(target, "cpu", 0.1)
    pods("filler-stuck", left_on(cluster))
    outcome = Executor(platform).apply(target, Step("set_limit", "cpu", 0.2, 0.4))
    assert outcome.state is StepState.REVERTED
    assert "Deferred" in outcome.error
    assert resources(cluster, "stuck")["limits"]["cpu"] == "200m"
    assert quota("stuck") == 0.2
    assert platform.holding() == {(target, "cpu"): True}


def test_a_reclaim_of_cpu_lowers_limit_and_request_and_is_counted(
    cluster: Cluster, open_scene: Callable[..., Scene], pods: Callable[..., Target], quota: Callable[[str], float]
) -> None:
    target = pods("idle-cpu", "400m", request="200m")
    with open_scene() as scene:
        reclaim(scene, target, "cpu", 0.05)
        assert scene.metric("cpp_reclaimed_cpu_cores_total") == pytest.approx(0.2)
        assert scene.metric("cpp_saved_cpu_cores") == pytest.approx(0.2)
    assert given(cluster, "idle-cpu", "cpu") == ("200m", "100m", "200m")
    assert quota("idle-cpu") == 0.2


def test_a_reclaim_of_memory_lowers_limit_and_request_and_is_counted(
    cluster: Cluster, open_scene: Callable[..., Scene], pods: Callable[..., Target]
) -> None:
    target = pods("idle-memory", "400m")
    with open_scene(reclaim_least_memory=16 * 2**20) as scene:
        reclaim(scene, target, "memory", 10.0 * 2**20)
        assert scene.metric("cpp_reclaimed_memory_bytes_total") == 32 * 2**20
        assert scene.metric("cpp_saved_memory_bytes") == 32 * 2**20
    assert given(cluster, "idle-memory", "memory") == ("33554432", "16777216", "32Mi")


def reclaim(scene: Scene, target: Target, resource: str, need: float) -> None:
    scene.truth.say(usage=need, peak=need, forecast=need, forecast_top=need)
    scene.alert(target, "reclaim", resource)
    scene.wait(lambda: scene.steps() and scene.steps()[0]["finished_at"], "it is ended")
    assert scene.steps()[0]["state"] == "done", scene.steps()[0]["error"]


def given(cluster: Cluster, name: str, resource: str) -> tuple[str, str, str]:
    """Return limit and request as asked for, and the limit in force, of a pod that kept its class and its process."""
    pod = cluster.get("pod", name)
    asked, (status,) = pod["spec"]["containers"][0]["resources"], pod["status"]["containerStatuses"]
    assert pod["status"]["qosClass"] == "Burstable"
    assert status["restartCount"] == 0
    return asked["limits"][resource], asked["requests"][resource], status["resources"]["limits"][resource]


def test_a_crash_between_the_raise_and_letting_go_leaves_nothing_behind(
    cluster: Cluster,
    open_scene: Callable[..., Scene],
    platform: KubernetesPlatform,
    pods: Callable[..., Target],
    quota: Callable[[str], float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target = pods("cut", "200m")
    with open_scene() as scene, monkeypatch.context() as patched:
        scene.alert(target, "reserve")
        scene.wait(scene.reserved, "it is reserved")
        patched.setattr(platform, "let_go", never)
        scene.alert(target, "reserve", status="resolved")
        scene.alert(target, "activate")
        scene.wait(lambda: quota("cut") == 0.385 and not scene.reserved(), "kernel and ledger have it")
    assert len(scene.shadows()) == 1
    with open_scene() as again:
        again.wait(lambda: not again.shadows(), "nothing is held any more")
        assert again.reserved() == []
        assert {step["state"] for step in again.steps()} == {"done"}
    assert quota("cut") == 0.385


def never(*_: object) -> None:
    """Let go as a process does that has ended meanwhile."""
    raise UnavailableError("nobody is there any more")
