from typing import Any

import pytest

from actuator.platforms.kubernetes.documents import Node, Pod
from actuator.platforms.kubernetes.fits import Neighbours, barrier
from actuator.platforms.kubernetes.scheduling import NodeChoice

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
HOST = "kubernetes.io/hostname"


def node(name: str = "n1", *, ready: str = "True", spec: dict[str, Any] | None = None, **labels: str) -> Node:
    conditions = [{"type": "Ready", "status": ready}]
    status = {"allocatable": {"cpu": "4", "memory": "8Gi"}, "conditions": conditions}
    metadata = {"name": name, "labels": {HOST: name, **labels}}
    return Node.model_validate({"metadata": metadata, "spec": spec or {}, "status": status})


def pod(name: str = "web", labels: dict[str, str] | None = None, **spec: Any) -> Pod:
    metadata = {"name": name, "namespace": "shop", "labels": labels or {}}
    return Pod.model_validate({"metadata": metadata, "spec": {"containers": [{"name": "main"}]} | spec})


def wants(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"nodeSelectorTerms": [{"matchExpressions": [{"key": key, "operator": operator, "values": values}]}]}


def on_nodes(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"affinity": {"nodeAffinity": {REQUIRED: wants(key, operator, *values)}}}


def company(kind: str, app: str, key: str = HOST) -> dict[str, Any]:
    term = {"topologyKey": key, "labelSelector": {"matchLabels": {"app": app}}}
    return {"affinity": {kind: {REQUIRED: [term]}}}


def why(of: Pod, at: Node, *others: tuple[Pod, Node], volumes: tuple[NodeChoice, ...] = ()) -> str:
    return barrier(of, at, Neighbours(others), volumes)


def test_a_pod_that_asks_for_nothing_runs_anywhere() -> None:
    assert why(pod(), node()) == ""


def test_a_cordoned_node_and_one_that_is_not_ready_take_nobody() -> None:
    assert why(pod(), node(spec={"unschedulable": True})) == "it is cordoned"
    assert why(pod(), node(ready="Unknown")) == "it is not Ready"


def test_a_node_must_have_every_kind_of_resource_that_is_requested() -> None:
    card = {"name": "main", "resources": {"requests": {"cpu": "1", "example.com/card": "1"}}}
    assert why(pod(containers=[card]), node()) == "it has no example.com/card"


def test_a_node_selector_is_met_by_labels() -> None:
    picky = pod(nodeSelector={"disk": "ssd"})
    assert "disk=ssd" in why(picky, node())
    assert why(picky, node(disk="ssd")) == ""


@pytest.mark.parametrize(
    ("operator", "values", "fits", "fits_not"),
    [
        ("In", ("a", "b"), {"zone": "b"}, {"zone": "c"}),
        ("NotIn", ("a",), {}, {"zone": "a"}),
        ("Exists", (), {"zone": ""}, {}),
        ("DoesNotExist", (), {}, {"zone": "a"}),
        ("Gt", ("3",), {"zone": "4"}, {"zone": "3"}),
        ("Lt", ("3",), {"zone": "2"}, {"zone": "three"}),
    ],
)
def test_required_node_affinity(
    operator: str, values: tuple[str, ...], fits: dict[str, str], fits_not: dict[str, str]
) -> None:
    picky = pod(**on_nodes("zone", operator, *values))
    assert why(picky, node(**fits)) == ""
    assert "required node affinity" in why(picky, node(**fits_not))


def test_an_operator_that_nobody_knows_is_not_met() -> None:
    assert why(pod(**on_nodes("zone", "Like", "a")), node(zone="a"))


def test_a_taint_needs_a_toleration_of_its_key_value_and_effect() -> None:
    tainted = node(spec={"taints": [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]})
    assert "gpu=yes:NoSchedule" in why(pod(), tainted)
    for toleration in (
        {"key": "gpu", "value": "yes", "effect": "NoSchedule"},
        {"key": "gpu", "operator": "Exists"},
        {"operator": "Exists"},
    ):
        assert why(pod(tolerations=[toleration]), tainted) == ""
    for toleration in (
        {"key": "gpu", "value": "no"},
        {"key": "cpu", "operator": "Exists"},
        {"key": "gpu", "operator": "Exists", "effect": "NoExecute"},
    ):
        assert why(pod(tolerations=[toleration]), tainted)


def test_a_taint_that_is_only_a_preference_keeps_nobody_away() -> None:
    assert why(pod(), node(spec={"taints": [{"key": "gpu", "effect": "PreferNoSchedule"}]})) == ""


def test_a_volume_must_be_reachable() -> None:
    only_n2 = NodeChoice.model_validate(wants(HOST, "In", "n2"))
    assert "volume" in why(pod(), node("n1"), volumes=(only_n2,))
    assert why(pod(), node("n2"), volumes=(only_n2,)) == ""


def test_who_must_not_be_near_another_stays_off_its_node_and_its_zone() -> None:
    other = (pod("db", {"app": "db"}), node("n1", zone="a"))
    shy = pod(**company("podAntiAffinity", "db"))
    assert "shop/db" in why(shy, node("n1", zone="a"), other)
    assert why(shy, node("n2", zone="a"), other) == ""
    assert why(pod(**company("podAntiAffinity", "db", "zone")), node("n2", zone="a"), other)
    assert why(pod(**company("podAntiAffinity", "db", "zone")), node("n3"), other) == ""


def test_anti_affinity_holds_both_ways() -> None:
    shy = (pod("db", **company("podAntiAffinity", "web")), node("n1"))
    assert "does not want" in why(pod(labels={"app": "web"}), node("n1"), shy)
    assert why(pod(labels={"app": "web"}), node("n2"), shy) == ""
    assert why(pod(labels={"app": "cron"}), node("n1"), shy) == ""


def test_who_must_be_near_another_goes_only_where_it_is() -> None:
    other = (pod("db", {"app": "db"}), node("n1"))
    fond = pod(**company("podAffinity", "db"))
    assert why(fond, node("n1"), other) == ""
    assert "must be near" in why(fond, node("n2"), other)


def test_a_term_means_pods_of_its_own_namespace_unless_it_says_otherwise() -> None:
    elsewhere = Pod.model_validate(
        {
            "metadata": {"name": "db", "namespace": "bank", "labels": {"app": "db"}},
            "spec": {"containers": [{"name": "main"}]},
        }
    )
    shy = company("podAntiAffinity", "db")
    assert why(pod(**shy), node(), (elsewhere, node())) == ""
    shy["affinity"]["podAntiAffinity"][REQUIRED][0]["namespaces"] = ["bank"]
    assert why(pod(**shy), node(), (elsewhere, node()))
