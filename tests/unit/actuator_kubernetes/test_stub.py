import threading
from typing import Any

import pytest
from apiserver.faults import Side, asks
from apiserver.nodes import Kubelet, node, pod
from apiserver.server import StubApiServer
from kubernetes.client import ApiClient, ApiException, CoreV1Api, CustomObjectsApi
from urllib3.exceptions import HTTPError

SMALL = {"cpu": "500m", "memory": "64Mi"}
ORDERS = ("cpp.dev", "v1alpha1", "cpp-system", "containerorders")


@pytest.fixture
def core(client: ApiClient) -> CoreV1Api:
    return CoreV1Api(client)


def container(found: Any) -> dict[str, Any]:
    return found["spec"]["containers"][0]["resources"]["limits"]


def test_a_pod_is_scheduled_started_resized_and_replaced_when_evicted(living: StubApiServer, core: CoreV1Api) -> None:
    living.add("nodes", node("n1"))
    owned = pod("web-1", "shop", SMALL, SMALL)
    owned["metadata"]["ownerReferences"] = [
        {"kind": "ReplicaSet", "apiVersion": "apps/v1", "name": "web", "uid": "u", "controller": True}
    ]
    living.add("pods", owned)
    patch = {"spec": {"containers": [{"name": "main", "resources": {"limits": {"cpu": "700m"}}}]}}
    core.patch_namespaced_pod_resize("web-1", "shop", patch, _preload_content=False)
    found = living.store.get("pods", "shop", "web-1")
    assert found["spec"]["nodeName"] == "n1"
    assert found["spec"]["containers"][0]["resources"]["requests"] == SMALL
    assert found["status"]["containerStatuses"][0]["resources"]["limits"] == {"cpu": "700m", "memory": "64Mi"}
    core.create_namespaced_pod_eviction("web-1", "shop", {"metadata": {"name": "web-1", "namespace": "shop"}})
    (replacement,) = living.store.find("pods", "shop")
    assert replacement["metadata"]["name"].startswith("web-")
    assert replacement["status"]["phase"] == "Running"
    assert living.counts["create", "pods/eviction"] == 1


def test_resources_change_through_the_resize_subresource_only(living: StubApiServer, core: CoreV1Api) -> None:
    living.add("pods", pod("web-1", "shop", SMALL, SMALL))
    patch = {"spec": {"containers": [{"name": "main", "resources": {"limits": {"cpu": "700m"}}}]}}
    with pytest.raises(ApiException, match="422"):
        core.patch_namespaced_pod("web-1", "shop", patch)


def test_a_kubelet_may_postpone_a_resize(api_server: StubApiServer, core: CoreV1Api) -> None:
    kubelet = Kubelet(api_server.store)
    api_server.store.watchers.append(kubelet)
    api_server.add("pods", pod("web-1", "shop", SMALL, SMALL, nodeName="n1"))
    kubelet.postpones = "Deferred"
    patch = {"spec": {"containers": [{"name": "main", "resources": {"limits": {"cpu": "700m"}}}]}}
    core.patch_namespaced_pod_resize("web-1", "shop", patch, _preload_content=False)
    status = api_server.store.get("pods", "shop", "web-1")["status"]
    assert status["containerStatuses"][0]["resources"]["limits"]["cpu"] == "500m"
    assert status["conditions"][-1]["reason"] == "Deferred"


def test_a_pod_goes_where_it_must_then_where_it_prefers(living: StubApiServer) -> None:
    for name, cpu in (("n1", "8"), ("n2", "4"), ("n3", "300m")):
        living.add("nodes", node(name, cpu))
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n3"]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    preferred = {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "preference": {"matchFields": [
        {"key": "metadata.name", "operator": "In", "values": ["n2"]}
    ]}}]}  # fmt: skip
    for name, affinity in (("free", {}), ("drawn", preferred), ("bound", required)):
        living.add("pods", pod(name, "shop", SMALL, SMALL, affinity={"nodeAffinity": affinity}))
    where = {each["metadata"]["name"]: each["spec"].get("nodeName") for each in living.store.find("pods")}
    assert where == {"free": "n1", "drawn": "n2", "bound": None}


def test_a_budget_that_is_used_up_forbids_an_eviction(living: StubApiServer, core: CoreV1Api) -> None:
    guarded = pod("web-1", "shop", SMALL, SMALL)
    guarded["metadata"]["labels"] = {"app": "web"}
    living.add("pods", guarded)
    spec = {"selector": {"matchLabels": {"app": "web"}}}
    budget = {"metadata": {"name": "web", "namespace": "shop"}, "spec": spec, "status": {"disruptionsAllowed": 0}}
    living.add("poddisruptionbudgets", budget)
    with pytest.raises(ApiException, match="429"):
        core.create_namespaced_pod_eviction("web-1", "shop", {"metadata": {"name": "web-1"}})
    assert living.store.get("pods", "shop", "web-1")


def test_a_change_made_from_an_older_version_conflicts(api_server: StubApiServer, client: ApiClient) -> None:
    custom = CustomObjectsApi(client)
    first = custom.create_namespaced_custom_object(*ORDERS, {"metadata": {"name": "web"}, "spec": {"n": 1}})
    custom.replace_namespaced_custom_object(*ORDERS, "web", {**first, "spec": {"n": 2}})
    with pytest.raises(ApiException, match="409"):
        custom.replace_namespaced_custom_object(*ORDERS, "web", {**first, "spec": {"n": 3}})
    assert api_server.store.get("containerorders", "cpp-system", "web")["spec"] == {"n": 2}


def test_it_refuses_and_breaks_connections_as_arranged(api_server: StubApiServer, core: CoreV1Api) -> None:
    api_server.add("pods", pod("web-1", "shop", SMALL, SMALL))
    api_server.refuse(429, asks("get", "pods"), retry_after=7)
    with pytest.raises(ApiException) as caught:
        core.read_namespaced_pod("web-1", "shop")
    assert caught.value.headers["Retry-After"] == "7"
    api_server.drop(asks("delete", "pods"), Side.AFTER)
    with pytest.raises(HTTPError):
        core.delete_namespaced_pod("web-1", "shop", _preload_content=False)
    assert api_server.store.find("pods") == []


def test_a_request_waits_at_a_door(api_server: StubApiServer, core: CoreV1Api) -> None:
    api_server.add("pods", pod("web-1", "shop", SMALL, SMALL))
    door = api_server.hold(asks("delete"), Side.BEFORE)

    def delete() -> None:
        with pytest.raises(HTTPError):
            core.delete_namespaced_pod("web-1", "shop", _preload_content=False)

    thread = threading.Thread(target=delete)
    thread.start()
    assert door.reached.wait(5)
    door.opened.set()
    thread.join(5)
    assert len(api_server.store.find("pods")) == 1


def test_stopped_it_answers_nobody_and_started_again_it_has_what_it_had(
    api_server: StubApiServer, core: CoreV1Api
) -> None:
    api_server.add("pods", pod("web-1", "shop", SMALL, SMALL))
    core.read_namespaced_pod("web-1", "shop")
    api_server.stop()
    with pytest.raises(HTTPError):
        core.read_namespaced_pod("web-1", "shop")
    api_server.start()
    assert core.read_namespaced_pod("web-1", "shop").metadata.name == "web-1"
