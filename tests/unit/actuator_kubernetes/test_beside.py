"""Who else has a say in a container: autoscalers, its owner, and what runs the cluster itself."""

from datetime import datetime
from typing import Any

import pytest
from shop import Shop

from actuator.model.decisions import Notice
from actuator.model.knowledge import Allocation

OF_DEPLOYMENT = {"kind": "Deployment", "name": "web", "apiVersion": "apps/v1"}


def owned(kind: str, name: str) -> list[dict[str, Any]]:
    return [{"kind": kind, "name": name, "uid": "u", "apiVersion": "v1", "controller": True}]


def look(shop: Shop, **pod: Any) -> Allocation:
    found = shop.platform.inspect(shop.run(**pod))
    assert found is not None
    return found


@pytest.fixture
def deployed(shop: Shop) -> Shop:
    metadata = {"name": "web-7d", "namespace": "shop", "ownerReferences": owned("Deployment", "web")}
    shop.server.add("replicasets", {"metadata": metadata})
    return shop


def horizontal(shop: Shop, metrics: list[Any], target: Any = OF_DEPLOYMENT) -> None:
    spec = {"scaleTargetRef": target, "maxReplicas": 3, "metrics": metrics}
    shop.server.add("horizontalpodautoscalers", {"metadata": {"name": "web", "namespace": "shop"}, "spec": spec})


def vertical(shop: Shop, mode: str = "Auto", policies: Any = ()) -> None:
    spec = {"targetRef": OF_DEPLOYMENT, "updatePolicy": {"updateMode": mode}}
    if policies:
        spec["resourcePolicy"] = {"containerPolicies": policies}
    shop.server.add("verticalpodautoscalers", {"metadata": {"name": "web", "namespace": "shop"}, "spec": spec})


def by_resource(name: str, container: str = "") -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": 80}
    if container:
        return {
            "type": "ContainerResource",
            "containerResource": {"name": name, "container": container, "target": target},
        }
    return {"type": "Resource", "resource": {"name": name, "target": target}}


@pytest.mark.parametrize(
    ("metrics", "managed"),
    [
        ([by_resource("cpu")], {"cpu"}),
        ([by_resource("memory"), by_resource("cpu")], {"cpu", "memory"}),
        ([by_resource("cpu", "main")], {"cpu"}),
        ([by_resource("cpu", "other")], set()),
        ([{"type": "External", "external": {"metric": {"name": "queue"}}}], set()),
    ],
)
def test_a_horizontal_autoscaler_keeps_the_resources_that_it_goes_by(
    deployed: Shop, metrics: list[Any], managed: set[str]
) -> None:
    horizontal(deployed, metrics)
    assert set(look(deployed, ownerReferences=owned("ReplicaSet", "web-7d")).managed) == managed


def test_an_autoscaler_of_a_stateful_set_is_found_without_a_replica_set(shop: Shop) -> None:
    horizontal(shop, [by_resource("cpu")], {"kind": "StatefulSet", "name": "db"})
    assert look(shop, ownerReferences=owned("StatefulSet", "db")).managed == {"cpu": "HorizontalPodAutoscaler web"}


def test_an_autoscaler_of_another_workload_has_no_say(deployed: Shop) -> None:
    horizontal(deployed, [by_resource("cpu")], {"kind": "Deployment", "name": "other"})
    vertical(deployed)
    assert look(deployed, ownerReferences=owned("StatefulSet", "web")).managed == {}
    assert look(deployed, name="bare").managed == {}


@pytest.mark.parametrize(
    ("mode", "policies", "managed"),
    [
        ("Auto", [], {"cpu", "memory"}),
        ("Initial", [], {"cpu", "memory"}),
        ("Off", [], set()),
        ("Auto", [{"containerName": "main", "mode": "Off"}], set()),
        ("Auto", [{"containerName": "*", "controlledResources": ["memory"]}], {"memory"}),
        ("Auto", [{"containerName": "other", "mode": "Off"}], {"cpu", "memory"}),
    ],
)
def test_a_vertical_autoscaler_keeps_the_resources_that_it_sets(
    deployed: Shop, mode: str, policies: Any, managed: set[str]
) -> None:
    vertical(deployed, mode, policies)
    assert set(look(deployed, ownerReferences=owned("ReplicaSet", "web-7d")).managed) == managed


def test_without_vertical_autoscaling_there_is_none(deployed: Shop) -> None:
    deployed.server.refuse(404, lambda request: request.plural == "verticalpodautoscalers", times=99)
    assert look(deployed, ownerReferences=owned("ReplicaSet", "web-7d")).managed == {}


def test_autoscalers_are_asked_for_once_for_many_pods(deployed: Shop) -> None:
    horizontal(deployed, [by_resource("cpu")])
    for number in range(20):
        look(deployed, name=f"web-{number}", ownerReferences=owned("ReplicaSet", "web-7d"))
    counts = deployed.server.counts
    assert [counts["list", f"{kind}podautoscalers"] for kind in ("horizontal", "vertical")] == [1, 1]
    assert (counts["get", "replicasets"], counts["get", "namespaces"], counts["get", "pods"]) == (1, 1, 20)


@pytest.mark.parametrize(
    ("pod", "namespace", "out", "bad"),
    [
        ({}, {}, False, False),
        ({"cpp/opt-out": "true"}, {}, True, False),
        ({"cpp/opt-out": "false"}, {}, False, False),
        ({}, {"cpp/opt-out": "true"}, True, False),
        ({"cpp/opt-out": "false"}, {"cpp/opt-out": "true"}, True, False),
        ({"cpp/opt-out": "maybe"}, {}, True, True),
        ({}, {"cpp/opt-out": ""}, True, True),
        ({"cpp/owner-resources": "{}"}, {}, False, True),
        ({"cpp/owner-resources": "not json"}, {}, False, True),
    ],
)
def test_what_people_wrote_opts_out_and_what_makes_no_sense_is_said_in_a_line(
    shop: Shop, pod: dict[str, str], namespace: dict[str, str], out: bool, bad: bool
) -> None:
    shop.server.store.get("namespaces", "", "shop")["metadata"]["annotations"] = namespace
    found = look(shop, annotations=pod)
    assert (found.opted_out, bool(found.bad_annotation)) == (out, bad)
    assert len(found.bad_annotation.splitlines()) == int(bad)


def test_what_runs_the_cluster_belongs_to_it(shop: Shop) -> None:
    assert look(shop, name="dns", namespace="kube-system").managed_by == "kube-system"
    assert "static pod" in look(shop, name="static", ownerReferences=owned("Node", "n1")).managed_by
    assert look(shop).managed_by == ""


def test_our_own_parts_are_known_by_label_namespace_and_image(shop: Shop) -> None:
    assert look(shop, name="probe", labels={"cpp/part": "probe"}).own_part
    assert look(shop, name="actuator", namespace="cpp-system").own_part
    target = shop.run("prometheus-0")
    shop.pod("prometheus-0")["spec"]["containers"][0]["image"] = "quay.io/prometheus/prometheus:v3.8.0"
    found = shop.platform.inspect(target)
    assert found is not None
    assert found.own_part
    assert not look(shop).own_part


def test_what_was_decided_is_an_event_on_the_pod(shop: Shop) -> None:
    target = shop.run()
    shop.platform.tell(target, Notice(1767225600.5, "relieve", "OptedOut", "the owner opted out" * 99, warning=True))
    (event,) = shop.events()
    assert (event["reason"], event["type"], event["action"]) == ("OptedOut", "Warning", "relieve")
    assert datetime.fromisoformat(event["eventTime"]).timestamp() == 1767225600.5
    assert event["regarding"]["uid"] == shop.pod()["metadata"]["uid"]
    assert (event["metadata"]["namespace"], len(event["note"])) == ("shop", 1024)


def test_an_event_that_cannot_be_recorded_stops_nobody(shop: Shop) -> None:
    target = shop.run()
    notice = Notice(0.0, "relieve", "OptedOut", "so", warning=True)
    shop.server.refuse(403, lambda request: request.plural == "events")
    shop.platform.tell(target, notice)
    shop.server.store.delete("pods", shop.pod())
    shop.platform.tell(target, notice)
    assert shop.events() == []
