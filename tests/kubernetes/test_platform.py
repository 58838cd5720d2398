"""The actuator's hands on real pods: what it sets is in the pod's status and in the kernel, or taken back."""

from collections.abc import Callable, Iterator

import pytest
from kubernetes.client import ApiClient
from kubernetes.config import new_client_from_config

from actuator.execute import Executor
from actuator.model import Step, StepState, Target
from actuator.platforms.errors import RejectedError
from actuator.platforms.kubernetes.api import Api
from actuator.platforms.kubernetes.platform import KubernetesPlatform
from deploy.cluster.cluster import Cluster

NODE_CORES = 2.0


@pytest.fixture(scope="session")
def client(cluster: Cluster) -> Iterator[ApiClient]:
    one = new_client_from_config(str(cluster.authority.path("admin.kubeconfig")))
    yield one
    one.close()


@pytest.fixture
def platform(client: ApiClient) -> KubernetesPlatform:
    return KubernetesPlatform(Api(client, 5.0), 20.0)


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
    with pytest.raises(RejectedError, match="never"):
        platform.set_limit(target, "cpu", NODE_CORES + 1)
    pod = cluster.get("pod", "greedy")
    assert pod["spec"]["containers"][0]["resources"]["limits"]["cpu"] == "200m"
    assert quota("greedy") == 0.2


def test_a_limit_of_all_the_node_has_counts_as_none(
    cluster: Cluster, platform: KubernetesPlatform, run_pod: Callable[..., None]
) -> None:
    run_pod("free", "n2", None)
    target = target_of(cluster, "free")
    assert platform.kernel_value(target, "cpu").limit is None
    for wanted in (0.1, None):
        platform.set_limit(target, "cpu", wanted)
        assert platform.kernel_value(target, "cpu").limit == wanted
