from typing import Any

import pytest
from apiserver.nodes import node, pod
from apiserver.server import StubApiServer
from kubernetes.client import ApiClient

from actuator.model.orders import Target
from actuator.placement import Mover
from actuator.platforms.kubernetes.cluster_api import ClusterApi
from actuator.platforms.kubernetes.cluster_view import ClusterView

GIB = 2.0**30
SMALL = {"cpu": "500m", "memory": "1Gi"}


@pytest.fixture
def shop(living: StubApiServer) -> StubApiServer:
    """Two nodes, the namespace ``shop`` that lets itself be steered, and two pods of one replica set on n1."""
    living.add("nodes", node("n1", **{"cpp/security-tier": "trusted"}))
    living.add("namespaces", {"metadata": {"name": "shop", "labels": {"cpp/steer": "enabled"}}})
    for name in ("web-1", "web-2"):
        add_pod(living, name)
    living.add("nodes", node("n2"))
    return living


def add_pod(server: StubApiServer, name: str, **changes: Any) -> None:
    document = pod(name, "shop", SMALL, {}, **changes.pop("spec", {}))
    owner = {"kind": "ReplicaSet", "name": "web", "uid": "set-web", "controller": True}
    document["metadata"] |= {"labels": {"app": "web"}, "ownerReferences": [owner], **changes}
    server.add("pods", document)


def mover(server: StubApiServer, client: ApiClient, name: str = "web-1") -> Mover:
    found = server.store.get("pods", "shop", name)
    container = found["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
    target = Target(found["spec"]["nodeName"], "shop", name, "main", container)
    return ClusterView(ClusterApi(client, 5.0), "cpp-system").movers([target])[0]


def test_a_place_has_what_no_pod_has_requested_and_the_tier_it_was_given(
    shop: StubApiServer, client: ApiClient
) -> None:
    n1, n2 = ClusterView(ClusterApi(client, 5.0), "cpp-system").places()
    assert (n1.node, n1.tier, n2.node, n2.tier) == ("n1", "trusted", "n2", "")
    assert (n1.rooms["cpu"].capacity, n1.rooms["cpu"].unrequested) == (4.0, 3.0)
    assert n2.rooms["memory"].unrequested == 8 * GIB
    assert n1.rooms["cpu"].forecast is None


@pytest.mark.parametrize("status", [{}, {"allocatable": {"cpu": "0", "memory": "8Gi"}}, {"allocatable": {"cpu": "4"}}])
def test_a_node_that_has_no_room_or_has_not_said_so_is_no_place_and_keeps_nobody_from_the_others(
    shop: StubApiServer, client: ApiClient, status: dict[str, Any]
) -> None:
    shop.add("nodes", node("n3") | {"status": status})
    assert [place.node for place in ClusterView(ClusterApi(client, 5.0), "cpp-system").places()] == ["n1", "n2"]
    assert mover(shop, client).controller == "ReplicaSet web"


def test_one_pod_that_does_not_say_since_when_it_runs_does_not_hide_the_others(
    shop: StubApiServer, client: ApiClient
) -> None:
    shop.store.get("pods", "shop", "web-2")["status"]["containerStatuses"][0]["state"]["running"]["startedAt"] = None
    assert mover(shop, client).replicas == 2


def test_what_placeholders_hold_is_told_apart(shop: StubApiServer, client: ApiClient) -> None:
    placeholder = pod("hold", "cpp-system", {"cpu": "1", "memory": "1Gi"}, {}, nodeName="n2")
    placeholder["metadata"]["labels"] = {"cpp/part": "shadow"}
    shop.add("pods", placeholder)
    _, n2 = ClusterView(ClusterApi(client, 5.0), "cpp-system").places()
    assert (n2.rooms["cpu"].unrequested, n2.rooms["cpu"].held) == (3.0, 1.0)


def test_a_pod_that_is_over_takes_no_room(shop: StubApiServer, client: ApiClient) -> None:
    shop.store.get("pods", "shop", "web-2")["status"]["phase"] = "Succeeded"
    n1, _ = ClusterView(ClusterApi(client, 5.0), "cpp-system").places()
    assert n1.rooms["cpu"].unrequested == 3.5


def test_a_pod_is_known_with_its_controller_and_siblings(shop: StubApiServer, client: ApiClient) -> None:
    found = mover(shop, client)
    assert (found.controller, found.controller_uid, found.replicas) == ("ReplicaSet web", "set-web", 2)
    assert found.requests == {"cpu": 0.5, "memory": GIB}
    assert found.uid == shop.store.get("pods", "shop", "web-1")["metadata"]["uid"]
    assert found.steered
    assert (found.local_volumes, found.opted_out, found.own_part, found.may_be_alone) == ((), False, False, False)
    assert found.disruptions_left is None


def test_another_container_of_the_same_name_is_not_meant(shop: StubApiServer, client: ApiClient) -> None:
    assert (
        ClusterView(ClusterApi(client, 5.0), "cpp-system").movers([Target("n1", "shop", "web-1", "main", "f" * 64)])
        == []
    )
    assert (
        ClusterView(ClusterApi(client, 5.0), "cpp-system").movers([Target("n1", "shop", "gone", "main", "f" * 64)])
        == []
    )


def test_a_bare_pod_has_no_controller_and_no_siblings(shop: StubApiServer, client: ApiClient) -> None:
    shop.add("pods", pod("bare", "shop", SMALL, {}, nodeName="n2"))
    found = mover(shop, client, "bare")
    assert (found.controller, found.replicas) == ("", 1)


@pytest.mark.parametrize(
    ("annotation", "left"),
    [({}, ("own", "scratch", "sock")), ({"cpp/allow-volume-loss": "scratch, sock, own"}, ())],
)
def test_local_volumes_count_unless_their_loss_is_allowed_by_name(
    shop: StubApiServer, client: ApiClient, annotation: dict[str, str], left: tuple[str, ...]
) -> None:
    volumes = [
        {"name": "scratch", "emptyDir": {}},
        {"name": "sock", "hostPath": {"path": "/run/x"}},
        {"name": "own", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}},
        {"name": "settings", "configMap": {"name": "x"}},
    ]
    add_pod(shop, "local", annotations=annotation, spec={"volumes": volumes})
    assert mover(shop, client, "local").local_volumes == left


@pytest.mark.parametrize(("allowed", "left"), [([1], 1), ([0], 0), ([5, 5], 0)])
def test_a_budget_says_how_many_more_may_go_and_two_say_none(
    shop: StubApiServer, client: ApiClient, allowed: list[int], left: int
) -> None:
    for number, count in enumerate(allowed):
        spec = {"selector": {"matchLabels": {"app": "web"}}}
        budget = {"metadata": {"name": f"b{number}", "namespace": "shop"}, "spec": spec}
        shop.add("poddisruptionbudgets", budget | {"status": {"disruptionsAllowed": count}})
    foreign = {"metadata": {"name": "other", "namespace": "shop"}, "spec": {"selector": {"matchLabels": {"app": "db"}}}}
    shop.add("poddisruptionbudgets", foreign | {"status": {"disruptionsAllowed": 0}})
    assert mover(shop, client).disruptions_left == left


def test_permissions_and_refusals_of_the_owner_are_read(shop: StubApiServer, client: ApiClient) -> None:
    add_pod(shop, "alone", annotations={"cpp/allow-single-replica-move": "true"})
    assert mover(shop, client, "alone").may_be_alone
    add_pod(shop, "nonsense", annotations={"cpp/allow-single-replica-move": "perhaps", "cpp/moved-at": "noon"})
    assert not mover(shop, client, "nonsense").may_be_alone
    add_pod(shop, "left-alone", annotations={"cpp/opt-out": "yes"})
    assert mover(shop, client, "left-alone").opted_out
    shop.store.get("namespaces", "", "shop")["metadata"]["annotations"] = {"cpp/opt-out": ""}
    assert mover(shop, client).opted_out


def test_a_mark_on_a_sibling_tells_when_the_workload_was_moved(shop: StubApiServer, client: ApiClient) -> None:
    assert mover(shop, client).moved_at is None
    add_pod(shop, "web-3", annotations={"cpp/moved-at": "1000", "cpp/moved-from": "u"})
    assert mover(shop, client).moved_at == 1000.0


def test_barriers_are_told_node_by_node(shop: StubApiServer, client: ApiClient) -> None:
    add_pod(shop, "picky", spec={"nodeSelector": {"cpp/security-tier": "trusted"}})
    assert set(mover(shop, client, "picky").barriers) == {"n2"}


def test_a_bound_volume_is_followed_to_its_nodes(shop: StubApiServer, client: ApiClient) -> None:
    terms = [{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["n1"]}]}]
    affinity = {"required": {"nodeSelectorTerms": terms}}
    shop.add("persistentvolumes", {"metadata": {"name": "disk"}, "spec": {"nodeAffinity": affinity}})
    claim = {"metadata": {"name": "data", "namespace": "shop"}, "spec": {"volumeName": "disk"}}
    shop.add("persistentvolumeclaims", claim)
    add_pod(shop, "db", spec={"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]})
    assert set(mover(shop, client, "db").barriers) == {"n2"}


def test_lists_are_asked_for_once_in_a_while(shop: StubApiServer, client: ApiClient) -> None:
    now = [0.0]
    view = ClusterView(ClusterApi(client, 5.0), "cpp-system", lambda: now[0])
    view.places()
    view.places()
    assert shop.counts["list", "pods"] == shop.counts["list", "nodes"] == 1
    now[0] = 11.0
    view.places()
    assert shop.counts["list", "pods"] == 2
