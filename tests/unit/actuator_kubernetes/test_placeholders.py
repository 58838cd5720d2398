"""Room held on a node by pods that make way, and given up for the container that it is held for."""

from typing import Any

import pytest
from apiserver.faults import asks
from apiserver.nodes import Kubelet, Scheduler, node, pod
from apiserver.server import StubApiServer
from kubernetes.client import ApiClient

from actuator.model.orders import Target
from actuator.platforms.errors import ConflictError, RejectedError, UnavailableError
from actuator.platforms.kubernetes.api import Api
from actuator.platforms.kubernetes.platform import KubernetesPlatform
from actuator.platforms.settings import KubernetesConfig

OWN = {"cpu": "500m", "memory": "64Mi"}
MIB = 2**20


class FullNode(Kubelet):
    """A kubelet that gives no more than what its pods' requests leave, and tries again when one of them goes."""

    def __call__(self, event: str, plural: str, changed: Any) -> None:
        if plural != "pods":
            return
        self.postpones = "Deferred" if self._over() else ""
        super().__call__(event, plural, changed)
        if event == "deleted":
            for waiting in self.store.find("pods"):
                super().__call__("updated", "pods", waiting)

    def _over(self) -> bool:
        return any(Scheduler(self.store)._room(found, "cpu") < 0 for found in self.store.find("nodes"))


@pytest.fixture
def cluster(api_server: StubApiServer) -> StubApiServer:
    """One node of two cores, with a pod that has half a one."""
    store = api_server.store
    store.watchers += [Scheduler(store), FullNode(store)]
    api_server.add("nodes", node("n1", "2"))
    api_server.add("pods", pod("web-1", "shop", OWN, OWN))
    return api_server


@pytest.fixture
def target(cluster: StubApiServer) -> Target:
    status = cluster.store.get("pods", "shop", "web-1")["status"]["containerStatuses"][0]
    return Target("n1", "shop", "web-1", "main", status["containerID"].rpartition("/")[2])


@pytest.fixture
def platform(client: ApiClient) -> KubernetesPlatform:
    now = [0.0]

    def pass_by(seconds: float) -> None:
        now[0] += seconds

    return KubernetesPlatform(Api(client, 5.0), KubernetesConfig(), lambda _: None, lambda: now[0], pass_by)


def shadows(cluster: StubApiServer) -> list[Any]:
    return cluster.store.find("pods", "cpp-system")


def fill(cluster: StubApiServer, cpu: str) -> None:
    cluster.add("pods", pod(f"filler-{cpu}", "other", {"cpu": cpu}, {}))


def spec(cluster: StubApiServer) -> Any:
    return cluster.store.get("pods", "shop", "web-1")["spec"]["containers"][0]["resources"]


@pytest.mark.parametrize(("resource", "amount", "written"), [("cpu", 0.25, "250m"), ("memory", 32.0 * MIB, "33554432")])
def test_room_is_held_on_the_containers_own_node(
    platform: KubernetesPlatform, cluster: StubApiServer, target: Target, resource: str, amount: float, written: str
) -> None:
    platform.hold(target, resource, amount)
    (shadow,) = shadows(cluster)
    assert shadow["spec"]["containers"][0]["resources"] == {"requests": {resource: written}}
    assert shadow["spec"]["priorityClassName"] == "cpp-shadow"
    assert shadow["spec"]["nodeName"] == "n1"
    assert platform.holding() == {(target, resource): True}


def test_holding_twice_is_holding_once(platform: KubernetesPlatform, cluster: StubApiServer, target: Target) -> None:
    platform.hold(target, "cpu", 0.25)
    before = [shadow["metadata"]["uid"] for shadow in shadows(cluster)]
    platform.hold(target, "cpu", 0.25)
    assert [shadow["metadata"]["uid"] for shadow in shadows(cluster)] == before


def test_another_amount_takes_the_place_of_the_old_one(
    platform: KubernetesPlatform, cluster: StubApiServer, target: Target
) -> None:
    platform.hold(target, "cpu", 0.25)
    platform.hold(target, "cpu", 0.5)
    (shadow,) = shadows(cluster)
    assert shadow["spec"]["containers"][0]["resources"]["requests"]["cpu"] == "500m"


def test_two_resources_of_a_container_are_held_apart(
    platform: KubernetesPlatform, cluster: StubApiServer, target: Target
) -> None:
    platform.hold(target, "cpu", 0.25)
    platform.hold(target, "memory", 32.0 * MIB)
    platform.let_go(target, "cpu")
    assert platform.holding() == {(target, "memory"): True}
    platform.let_go(target, "cpu")


def test_a_full_node_is_refused_with_the_schedulers_reason_and_nothing_is_left(
    platform: KubernetesPlatform, cluster: StubApiServer, target: Target
) -> None:
    fill(cluster, "1400m")
    with pytest.raises(ConflictError, match="node n1 has no room for 250m cpu: no node has room"):
        platform.hold(target, "cpu", 0.25)
    assert shadows(cluster) == []
    assert cluster.counts["get", "pods"] < 15


def test_room_that_is_found_late_but_in_time_is_held(
    platform: KubernetesPlatform, cluster: StubApiServer, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(cluster, "1400m")
    ask, asked = Api.pod, []

    def free_then_ask(api: Api, namespace: str, name: str) -> Any:
        asked.append(name)
        if len(asked) == 3:
            api.delete("other", "filler-1400m")
        return ask(api, namespace, name)

    monkeypatch.setattr(Api, "pod", free_then_ask)
    platform.hold(target, "cpu", 0.25)
    assert platform.holding() == {(target, "cpu"): True}


def test_a_missing_priority_class_is_refused_in_one_clear_line(
    platform: KubernetesPlatform, cluster: StubApiServer, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: object) -> None:
        raise RejectedError('pods "x" is forbidden: no PriorityClass with name cpp-shadow was found')

    monkeypatch.setattr(Api, "create", forbidden)
    with pytest.raises(RejectedError, match="PriorityClass cpp-shadow is missing: install it"):
        platform.hold(target, "cpu", 0.25)


def test_a_priority_class_that_does_not_make_way_is_refused(
    platform: KubernetesPlatform, cluster: StubApiServer, target: Target
) -> None:
    def promote(event: str, plural: str, changed: Any) -> None:
        if plural == "pods":
            changed["spec"]["priority"] = 100

    cluster.store.watchers.append(promote)
    with pytest.raises(RejectedError, match="gives 100"):
        platform.hold(target, "cpu", 0.25)
    assert shadows(cluster) == []


def test_without_an_answer_nothing_counts_as_held(
    platform: KubernetesPlatform, cluster: StubApiServer, target: Target
) -> None:
    cluster.refuse(503, asks("create", "pods"), times=9)
    with pytest.raises(UnavailableError):
        platform.hold(target, "cpu", 0.25)
    assert platform.holding() == {}


def test_a_placeholder_that_was_evicted_holds_nothing(
    platform: KubernetesPlatform, cluster: StubApiServer, target: Target
) -> None:
    platform.hold(target, "cpu", 0.25)
    (shadow,) = shadows(cluster)
    cluster.store.watchers.clear()
    cluster.store.update("pods", shadow, {**shadow, "status": {"phase": "Failed"}})
    assert platform.holding() == {(target, "cpu"): False}


def test_a_placeholder_that_does_not_say_for_whom_it_is_is_nobodys(
    platform: KubernetesPlatform, cluster: StubApiServer, target: Target
) -> None:
    platform.hold(target, "cpu", 0.25)
    (shadow,) = shadows(cluster)
    for nonsense in ("", "[1]", "[1, 2, 3, 4, 5]", "7", '["n1", "shop", "web-1", "main", "another"]'):
        metadata = {**shadow["metadata"], "annotations": {"cpp/for": nonsense}}
        cluster.store.update("pods", shadow, {**shadow, "metadata": metadata})
        assert platform.holding() == {}


def test_a_placeholder_fits_the_strictest_level_of_pod_security(
    platform: KubernetesPlatform, cluster: StubApiServer, target: Target
) -> None:
    platform.hold(target, "cpu", 0.25)
    spec = shadows(cluster)[0]["spec"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    rights = spec["containers"][0]["securityContext"]
    assert rights["capabilities"] == {"drop": ["ALL"]}
    assert not rights["allowPrivilegeEscalation"]
    assert not spec["automountServiceAccountToken"]


def test_on_a_full_node_a_raise_gets_the_room_that_was_held_for_it(
    platform: KubernetesPlatform, cluster: StubApiServer, target: Target
) -> None:
    platform.hold(target, "cpu", 0.5)
    fill(cluster, "1")
    platform.set_limit(target, "cpu", 1.0)
    assert platform.kernel_value(target, "cpu").limit == 1.0
    assert shadows(cluster) == []


def test_a_raise_that_fits_beside_what_is_held_does_not_touch_it(
    platform: KubernetesPlatform, cluster: StubApiServer, target: Target
) -> None:
    platform.hold(target, "cpu", 0.5)
    platform.set_limit(target, "cpu", 1.0)
    assert platform.holding() == {(target, "cpu"): True}


def test_a_raise_that_gets_no_room_either_way_is_taken_back_and_its_room_held_again(
    platform: KubernetesPlatform, cluster: StubApiServer, target: Target
) -> None:
    platform.hold(target, "cpu", 0.2)
    fill(cluster, "1250m")
    with pytest.raises(ConflictError, match="Deferred"):
        platform.set_limit(target, "cpu", 1.0)
    assert spec(cluster)["limits"]["cpu"] == "500m"
    assert platform.holding() == {(target, "cpu"): True}


def test_room_lost_to_another_pod_meanwhile_is_not_held_again(
    platform: KubernetesPlatform, cluster: StubApiServer, target: Target
) -> None:
    platform.hold(target, "cpu", 0.2)
    fill(cluster, "1250m")

    def grab(event: str, plural: str, changed: Any) -> None:
        if event == "deleted" and changed["metadata"]["namespace"] == "cpp-system":
            cluster.store.watchers.remove(grab)
            cluster.store.create("pods", "other", pod("grabber", "other", {"cpu": "200m"}, {}, nodeName="n1"))

    cluster.store.watchers.append(grab)
    with pytest.raises(ConflictError, match="Deferred"):
        platform.set_limit(target, "cpu", 1.0)
    assert spec(cluster)["limits"]["cpu"] == "500m"
    assert platform.holding() == {}
