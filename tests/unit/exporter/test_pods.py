import json
import math
from typing import Any

import pytest
from structlog.testing import capture_logs

from exporter.sources.pods import Pods, PodsError, parse_pods, quantity


def _pod(
    name: str = "web-1", *, owner: tuple[str, str] | None = None, spec: dict[str, Any] | None = None, **metadata: Any
) -> dict[str, Any]:
    if owner is not None:
        kind, controller = owner
        extra = {"kind": "Node", "name": "n1", "controller": False}
        metadata["ownerReferences"] = [extra, {"kind": kind, "name": controller, "controller": True}]
    container = {"name": "main", "image": "shop:1", "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}}
    whole = {"nodeName": "n1", "containers": [container]} | (spec or {})
    return {"metadata": {"name": name, "namespace": "shop"} | metadata, "spec": whole, "status": {}}


def _parse(*pods: Any) -> Pods:
    text = json.dumps({"kind": "PodList", "items": pods}).encode()
    return parse_pods([text[:50], text[50:]])


@pytest.mark.parametrize(
    ("owner", "labels", "workload"),
    [
        (("ReplicaSet", "web-7d4b9c5f6"), {"pod-template-hash": "7d4b9c5f6"}, "web"),
        (("ReplicaSet", "by-hand"), {}, "by-hand"),
        (("StatefulSet", "db"), {}, "db"),
        (("DaemonSet", "agent"), {}, "agent"),
        (("Job", "backup-29123456"), {}, "backup"),
        (("Job", "migrate-2"), {}, "migrate-2"),
        (None, {}, "web-1"),
    ],
    ids=["deployment", "bare replica set", "stateful set", "daemon set", "cron job", "job", "bare pod"],
)
def test_the_workload_is_what_made_the_pod(
    owner: tuple[str, str] | None, labels: dict[str, str], workload: str
) -> None:
    found = _parse(_pod(owner=owner, labels=labels))["shop", "web-1"]
    assert (found.workload, found.tenant) == (workload, "shop")


def test_a_static_pod_is_named_after_its_file_and_not_the_node() -> None:
    static = _pod("proxy-n1", annotations={"kubernetes.io/config.source": "file"})
    assert _parse(static)["shop", "proxy-n1"].workload == "proxy"


@pytest.mark.parametrize(
    ("written", "workload", "tenant"),
    [
        ({"annotations": {"cpp/workload": "checkout", "cpp/tenant": "blue"}}, "checkout", "blue"),
        ({"labels": {"cpp/tenant": "green"}}, "web-1", "green"),
        ({"labels": {"cpp/tenant": "green"}, "annotations": {"cpp/tenant": "blue"}}, "web-1", "blue"),
        ({"annotations": {"cpp/workload": "  ", "cpp/tenant": ""}}, "web-1", "shop"),
        ({"annotations": {"cpp/tenant": "x" * 100_000}}, "web-1", "x" * 253),
        ({"annotations": None, "labels": None}, "web-1", "shop"),
    ],
    ids=["annotations", "label", "annotation before label", "blank", "endless", "null"],
)
def test_people_may_name_workload_and_tenant(written: dict[str, Any], workload: str, tenant: str) -> None:
    found = _parse(_pod(**written))["shop", "web-1"]
    assert (found.workload, found.tenant) == (workload, tenant)


def test_requests_in_force_count_more_than_those_asked_for() -> None:
    pod = _pod()
    state = {"name": "main", "containerID": "containerd://" + "ab" * 32, "resources": {"requests": {"cpu": "250m"}}}
    pod["status"] = {"containerStatuses": [state]}
    found = _parse(pod)["shop", "web-1"].containers["main"]
    assert (found.cpu_request, found.runtime, found.image) == (0.25, "containerd", "shop:1")
    assert math.isnan(found.memory_request)


def test_init_containers_sidecars_and_debuggers_are_known_too() -> None:
    sidecar = {"name": "proxy", "restartPolicy": "Always", "resources": {"requests": {"memory": "1Gi"}}}
    more = {"initContainers": [{"name": "setup"}, sidecar], "ephemeralContainers": [{"name": "debug"}]}
    found = _parse(_pod(spec=more))["shop", "web-1"].containers
    assert set(found) == {"setup", "proxy", "main", "debug"}
    assert found["proxy"].memory_request == 2.0**30
    assert math.isnan(found["setup"].cpu_request)


def test_of_two_pods_of_one_name_the_one_that_stays_counts() -> None:
    going = _pod(labels={"cpp/tenant": "old"}, deletionTimestamp="2026-11-23T01:00:00Z")
    staying = _pod(labels={"cpp/tenant": "new"})
    for order in ((going, staying), (staying, going)):
        assert _parse(*order)["shop", "web-1"].tenant == "new"


@pytest.mark.parametrize(
    "broken",
    [
        {"metadata": {"name": "x"}, "spec": {}},
        {"metadata": {"name": "x", "namespace": "y"}},
        _pod(labels=["a"]),
        {"metadata": {"name": "x", "namespace": {}, "annotations": {"cpp/workload": "w"}}, "spec": {}},
    ],
    ids=["no namespace", "no specification", "labels that are a list", "a namespace that is no text"],
)
def test_a_pod_that_makes_no_sense_is_left_out_and_the_others_are_not(broken: dict[str, Any]) -> None:
    with capture_logs() as logs:
        assert list(_parse(broken, _pod("good"))) == [("shop", "good")]
    assert [entry["event"] for entry in logs] == ["pod left out"]


@pytest.mark.parametrize(
    "text",
    [b"", b"Unauthorized", b"[]", b"{}", b'{"items": [1]}', b'{"items": [{"metadata": {"na', b"[" * 100_000, b"\xff"],
    ids=["nothing", "words", "a list", "no items", "numbers", "half a document", "endless", "no text"],
)
def test_what_is_no_list_of_pods_is_refused(text: bytes) -> None:
    with pytest.raises(PodsError, match="no list of pods"):
        parse_pods([text])


def test_a_node_without_pods_is_no_error() -> None:
    assert parse_pods([b'{"items": null}']) == {}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("250m", 0.25),
        ("2", 2.0),
        (".5", 0.5),
        ("64Mi", 2.0**26),
        ("1Ki", 1024.0),
        ("1.5Gi", 1.5 * 2**30),
        ("128M", 128e6),
        ("1e3", 1000.0),
        ("12E2", 1200.0),
        ("5000000n", 0.005),
        (3, 3.0),
    ],
)
def test_quantities_are_read_as_kubernetes_writes_them(text: object, value: float) -> None:
    assert quantity(text) == pytest.approx(value)


@pytest.mark.parametrize("text", [None, "", "much", "1Xi", "1ki", "-1", "nan", "1e999", {}])
def test_what_is_no_quantity_is_unknown(text: object) -> None:
    assert math.isnan(quantity(text))
