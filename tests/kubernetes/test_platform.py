"""The actuator's hands on real pods: what it sets is in the pod's status and in the kernel, or taken back."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from kubernetes.client import ApiClient
from worker_scene import as_actuator, settle_in

from actuator.execute import Executor
from actuator.model.decisions import Step, StepState
from actuator.model.orders import Target
from actuator.platforms.errors import ConflictError, RejectedError
from actuator.platforms.kubernetes.api import Api
from actuator.platforms.kubernetes.platform import KubernetesPlatform
from actuator.platforms.settings import KubernetesConfig
from deploy.cluster.cluster import Cluster

NODE_CORES = 2.0
MIB = 2**20


@pytest.fixture(scope="module")
def own_client(cluster: Cluster) -> Iterator[ApiClient]:
    settle_in(cluster)
    with as_actuator(cluster) as client:
        yield client


@pytest.fixture
def platform(own_client: ApiClient) -> KubernetesPlatform:
    return KubernetesPlatform(Api(own_client, 5.0), KubernetesConfig(resize_patience=20.0), lambda _: 8.0 * MIB)


def target_of(cluster: Cluster, name: str) -> Target:
    cluster.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")
    pod = cluster.get("pod", name)
    container = pod["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
    return Target(pod["spec"]["nodeName"], "default", name, "main", container)


def test_a_step_is_done_when_the_kernel_has_it(
    cluster: Cluster, platform: KubernetesPlatform, run_pod: Callable[..., None], quota: Callable[[str], float]
) -> None:
    run_pod("steady", "n1", "200m")
    target = target_of(cluster, "steady")
    for before, after in ((0.2, 0.3), (0.3, 0.1)):
        outcome = Executor(platform).apply(target, Step("set_limit", "cpu", before, after))
        assert outcome.state is StepState.DONE, outcome.error
        assert quota("steady") == after
    assert cluster.get("pod", "steady")["status"]["containerStatuses"][0]["restartCount"] == 0


def test_what_the_node_can_never_give_is_refused_and_leaves_no_wish_behind(
    cluster: Cluster, platform: KubernetesPlatform, run_pod: Callable[..., None], quota: Callable[[str], float]
) -> None:
    run_pod("greedy", "n2", "200m")
    target = target_of(cluster, "greedy")
    with pytest.raises(RejectedError, match="never") as refused:
        platform.set_limit(target, "cpu", NODE_CORES + 1)
    assert refused.value.code == "infeasible"
    pod = cluster.get("pod", "greedy")
    assert pod["spec"]["containers"][0]["resources"]["limits"]["cpu"] == "200m"
    assert quota("greedy") == 0.2
    platform.set_limit(target, "cpu", 0.3)
    assert quota("greedy") == 0.3


def test_what_the_node_has_no_room_for_waits_until_it_has_and_is_taken_back_where_it_never_does(
    cluster: Cluster, own_client: ApiClient, run_pod: Callable[..., None], quota: Callable[[str], float]
) -> None:
    run_pod("patient", "n2", "200m")
    run_pod("wide", "n2", "1500m")
    target = target_of(cluster, "patient")
    target_of(cluster, "wide")
    hasty, patient = (
        KubernetesPlatform(Api(own_client, 5.0), KubernetesConfig(resize_patience=seconds), lambda _: None)
        for seconds in (3.0, 45.0)
    )
    with pytest.raises(ConflictError, match="Deferred") as refused:
        hasty.set_limit(target, "cpu", 0.9)
    assert refused.value.code == "deferred"
    assert cluster.get("pod", "patient")["spec"]["containers"][0]["resources"]["limits"]["cpu"] == "200m"
    waiting = threading.Thread(target=patient.set_limit, args=(target, "cpu", 0.9))
    waiting.start()
    time.sleep(2.0)
    cluster.kubectl("delete", "pod", "wide", "--grace-period=0", "--force")
    waiting.join(60)
    assert quota("patient") == 0.9


def test_a_limit_of_all_the_node_has_counts_as_none(
    cluster: Cluster, platform: KubernetesPlatform, run_pod: Callable[..., None]
) -> None:
    run_pod("free", "n2", None)
    target = target_of(cluster, "free")
    assert platform.kernel_value(target, "cpu").limit is None
    for wanted in (0.1, 0.03, None):
        platform.set_limit(target, "cpu", wanted)
        assert platform.kernel_value(target, "cpu").limit == wanted
    resources = cluster.get("pod", "free")["spec"]["containers"][0]["resources"]
    assert resources["requests"]["cpu"] == "50m"
    platform.forget(target)
    assert "cpp/owner-resources" not in cluster.get("pod", "free")["metadata"].get("annotations", {})


def test_a_limit_outlives_a_restart_of_its_container_and_comes_back_all_the_same(
    cluster: Cluster, platform: KubernetesPlatform, run_pod: Callable[..., None], quota: Callable[[str], float]
) -> None:
    run_pod("mortal", "n1", "200m")
    target = target_of(cluster, "mortal")
    platform.set_limit(target, "cpu", 0.1)
    os.kill(cluster.tasks("n1")[target.container_id], signal.SIGKILL)

    def restarted() -> bool:
        status = cluster.get("pod", "mortal")["status"]["containerStatuses"][0]
        return bool(status["restartCount"] == 1 and status.get("ready"))

    cluster.wait_for(restarted, 60, "the container has begun anew")
    again = target_of(cluster, "mortal")
    assert again.container_id != target.container_id
    assert quota("mortal") == 0.1
    found = platform.inspect(target)
    assert found is not None
    assert found.owner is not None
    assert (found.owner.target, found.owner.cpu_limit, found.cpu_limit) == (again, 0.2, 0.1)
    platform.set_limit(target, "cpu", 0.2)
    assert quota("mortal") == 0.2
    platform.forget(target)
    assert platform.inspect(target) is None


def test_a_pod_that_came_under_the_same_name_is_not_touched_in_the_place_of_another(
    cluster: Cluster, own_client: ApiClient, run_pod: Callable[..., None], quota: Callable[[str], float]
) -> None:
    run_pod("twin", "n1", "200m")
    target_of(cluster, "twin")
    api = Api(own_client, 5.0)
    pod = api.pod("default", "twin")
    other = pod.model_copy(update={"metadata": pod.metadata.model_copy(update={"uid": "another"})})
    with pytest.raises((ConflictError, RejectedError)):
        api.resize(other, "main", {"limits": {"cpu": "300m"}, "requests": {"cpu": "300m"}})
    with pytest.raises((ConflictError, RejectedError)):
        api.annotate(other, "cpp/opt-out", "true")
    assert quota("twin") == 0.2


def test_memory_goes_down_to_what_is_not_in_use_and_no_further(
    cluster: Cluster, platform: KubernetesPlatform, own_client: ApiClient, run_pod: Callable[..., None]
) -> None:
    run_pod("lean", "n1", "200m")
    target = target_of(cluster, "lean")
    platform.set_limit(target, "memory", 48.0 * MIB)
    assert platform.kernel_value(target, "memory").limit == 48 * MIB
    with pytest.raises(RejectedError, match="in use"):
        platform.set_limit(target, "memory", 6.0 * MIB)
    resources = cluster.get("pod", "lean")["spec"]["containers"][0]["resources"]
    assert (resources["limits"]["memory"], resources["requests"]["memory"]) == (str(48 * MIB), str(24 * MIB))
    gone = platform.inspect(replace(target, pod="none"))
    assert gone is None
