"""Moves on real nodes: the stock scheduler, the Eviction API, the webhook over TLS; KWOK simulates a third node."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import ApiClient
from move_scene import Forecasts, MoveScene, allow_moves
from simulated_node import await_open, simulated_node
from steering_webhook import HOST, configuration, issue
from worker_scene import as_actuator, settings, settle_in

from actuator.model.orders import Target
from deploy.cluster.cluster import Cluster
from deploy.demo.ports import free_ports

WORKLOAD = "localhost/workload:1"
SHOP, ELSEWHERE = "shop-moves", "shop-still"
FAVOURITE = "n3"


@pytest.fixture(scope="module")
def own_client(cluster: Cluster) -> Iterator[ApiClient]:
    settle_in(cluster)
    allow_moves(cluster)
    for name, labels in ((SHOP, {"cpp/steer": "enabled"}), (ELSEWHERE, {})):
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    with as_actuator(cluster) as client:
        yield client


@pytest.fixture
def webhook(cluster: Cluster, own_client: ApiClient) -> Iterator[dict[str, Any]]:
    """Tell the API server whom to ask, and return where the actuator has to listen and with which certificate."""
    address = f"{HOST}:{free_ports(1)[0]}"
    cluster.apply(configuration(cluster.authority, address))
    yield {"listen_address": address, **issue(cluster.authority)}
    cluster.kubectl("delete", "mutatingwebhookconfiguration", "cpp-steer")


@pytest.fixture(scope="module", autouse=True)
def third(cluster: Cluster, own_client: ApiClient) -> Iterator[None]:
    """A large and empty node, which the scheduler likes best; what is placed there counts as running."""
    with simulated_node(cluster, FAVOURITE, cpu="16", memory="64Gi"):
        yield


@pytest.fixture
def open_scene(
    cluster: Cluster, own_client: ApiClient, webhook: dict[str, Any], tmp_path: Path
) -> Callable[..., MoveScene]:
    def begin(**limits: Any) -> MoveScene:
        config = settings(tmp_path, move_relief="1s", start_up_grace="1s", **limits)
        soon = {"scrape_interval": "1s"}  # after which a refused order is tried again
        config = config.model_validate(config.model_dump() | {"admission": webhook, "prometheus": soon})
        return MoveScene(cluster, config, own_client)

    return begin


@pytest.fixture
def workloads(cluster: Cluster) -> Iterator[Callable[..., Target]]:
    """Run something on n1: ``workloads(name, replicas, **template)``; returns one of its containers."""
    made: list[tuple[str, str]] = []

    def run(name: str, replicas: int = 2, namespace: str = SHOP, **template: Any) -> Target:
        others = ("n2", FAVOURITE)
        for node in others:
            cluster.kubectl("cordon", node)
        kind, document = _manifest(name, replicas, namespace, template)
        made.append((kind, namespace))
        cluster.apply(document)
        _wait_ready(cluster, namespace, name, max(replicas, 1))
        for node in others:
            cluster.kubectl("uncordon", node)
        await_open(cluster, *others)
        return targets(cluster, name, namespace)[0]

    yield run
    for kind, namespace in set(made):
        cluster.kubectl("delete", kind, "--all", f"--namespace={namespace}", "--wait=false")
        cluster.kubectl("delete", "pods", "--all", f"--namespace={namespace}", "--grace-period=0", "--force")


def _manifest(name: str, replicas: int, namespace: str, template: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    labels, resources = {"app": name}, {"cpu": "100m", "memory": "32Mi"}
    container = {"name": "main", "image": WORKLOAD, "args": ["sleep"], "imagePullPolicy": "Never"}
    container["resources"] = {"requests": resources, "limits": resources}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0, **template.get("spec", {})}
    metadata = {"labels": labels, "annotations": template.get("annotations", {})}
    if not replicas:
        own = {"name": name, "namespace": namespace, **metadata}
        return "pods", {"apiVersion": "v1", "kind": "Pod", "metadata": own, "spec": spec}
    wanted = {"replicas": replicas, "selector": {"matchLabels": labels}}
    wanted["template"] = {"metadata": metadata, "spec": spec}
    head = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": namespace}}
    return "deployments", head | {"spec": wanted}


def _wait_ready(cluster: Cluster, namespace: str, name: str, count: int) -> None:
    cluster.wait_for(lambda: len(targets(cluster, name, namespace)) == count, 60, f"{count} pods of {name} are Ready")


def targets(cluster: Cluster, name: str, namespace: str = SHOP) -> list[Target]:
    """The containers of the Ready pods of ``name``."""
    found = []
    for pod in cluster.get("pods", f"--namespace={namespace}", f"--selector=app={name}")["items"]:
        ready = [each for each in pod["status"].get("conditions", []) if (each["type"], each["status"]) == READY]
        if ready and "deletionTimestamp" not in pod["metadata"]:
            container = pod["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
            found.append(Target(pod["spec"]["nodeName"], namespace, pod["metadata"]["name"], "main", container))
    return found


READY = ("Ready", "True")


def favourite(cluster: Cluster) -> str:
    """Where the scheduler, on its own, puts one more pod of the kind that is moved here."""
    _, document = _manifest("probe", 0, ELSEWHERE, {})
    cluster.apply(document)
    where = ["get", "pod", "probe", f"--namespace={ELSEWHERE}", "--output=jsonpath={.spec.nodeName}"]
    cluster.wait_for(lambda: cluster.kubectl(*where), 20, "the scheduler has chosen")
    chosen = cluster.kubectl(*where)
    cluster.kubectl("delete", "pod", "probe", f"--namespace={ELSEWHERE}", "--grace-period=0", "--force")
    return chosen


def test_the_victim_goes_where_room_is_forecast_and_not_where_the_scheduler_would_put_it(
    cluster: Cluster, open_scene: Callable[..., MoveScene], workloads: Callable[..., Target]
) -> None:
    victim = workloads("victim")
    assert favourite(cluster) == FAVOURITE
    with open_scene() as scene:
        scene.forecasts.say(Forecasts(nodes={"n1": 1.2, "n2": 0.3, FAVOURITE: 12.0}, suffered={victim: 0.6}))
        scene.alert(victim, "migrate")
        began = time.monotonic()
        scene.wait(lambda: scene.states().get("clear") == "done", "the move is over", 60.0)
        took = time.monotonic() - began
        assert scene.states() == dict.fromkeys(("place", "steer", "evict", "land", "clear"), "done")
        assert scene.step("land")["after_raw"] == "n2"
        assert scene.shadows() == []
    _wait_ready(cluster, SHOP, "victim", 2)
    assert sorted(each.node for each in targets(cluster, "victim")) == ["n1", "n2"]
    assert victim.pod not in {each.pod for each in targets(cluster, "victim")}
    assert took < 30


def test_the_culprit_is_moved_where_that_is_cheaper_and_not_again_soon_after(
    cluster: Cluster, open_scene: Callable[..., MoveScene], workloads: Callable[..., Target]
) -> None:
    victim, culprit = workloads("heavy-victim"), workloads("culprit")
    with open_scene(move_settle="1s") as scene:
        scene.forecasts.say(
            Forecasts(
                nodes={"n1": 1.2, "n2": 0.3, FAVOURITE: 12.0},
                suffered={victim: 0.6},
                caused={culprit: 0.6},
                warm_bytes={victim: 2.0**36},
            )
        )
        scene.alert(victim, "migrate")
        scene.wait(lambda: scene.states().get("clear") == "done", "the move is over", 60.0)
        assert culprit.pod not in {each.pod for each in targets(cluster, "culprit")}
        assert victim.pod in {each.pod for each in targets(cluster, "heavy-victim")}
        (left,) = [each for each in targets(cluster, "culprit") if each.node == "n1"]
        scene.forecasts.say(Forecasts(nodes=scene.forecasts.now.nodes, suffered={left: 0.6}))
        scene.alert(left, "migrate")
        scene.wait(lambda: scene.refused(left) == "moved_lately", "it is refused")


def test_what_must_not_move_is_refused_with_the_reason(
    cluster: Cluster, open_scene: Callable[..., MoveScene], workloads: Callable[..., Target]
) -> None:
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "tight", "namespace": SHOP},
        "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "guarded"}}},
    }
    cluster.apply(budget)
    volumes = {"volumes": [{"name": "scratch", "emptyDir": {}}]}
    expected = {
        workloads("guarded"): "disruption_budget",
        workloads("bare", replicas=0): "bare_pod",
        workloads("local", spec=volumes): "local_volume",
        workloads("single", replicas=1): "single_replica",
        workloads("foreign", namespace=ELSEWHERE): "not_steered",
    }
    with open_scene() as scene:
        for target, reason in expected.items():
            scene.forecasts.say(Forecasts({"n1": 1.2, "n2": 0.3, FAVOURITE: 12.0}, suffered={target: 0.6}))
            scene.alert(target, "migrate")
            scene.wait(lambda t=target, r=reason: scene.refused(t) == r, f"{target.pod} is refused for {reason}")
        assert scene.shadows() == []
    cluster.kubectl("delete", "poddisruptionbudget", "tight", f"--namespace={SHOP}")
    for target in expected:
        assert target in targets(cluster, target.pod.split("-")[0], target.namespace)


def test_a_risky_pod_goes_to_an_isolated_node_and_without_one_only_the_alert_is_left(
    cluster: Cluster, open_scene: Callable[..., MoveScene], workloads: Callable[..., Target]
) -> None:
    risky = workloads("risky", replicas=1, annotations={"cpp/allow-single-replica-move": "true"})
    seen = Forecasts({"n1": 0.2, "n2": 0.6, FAVOURITE: 0.1}, risk={risky: 0.9})
    with open_scene() as scene:
        scene.forecasts.say(seen)
        scene.alert(risky, "quarantine", resource="")
        scene.wait(lambda: scene.refused(risky) == "no_isolated_node", "there is nowhere to go")
        assert risky in targets(cluster, "risky")
        cluster.kubectl("label", "node", "n2", "cpp/security-tier=isolated")
        scene.wait(lambda: scene.states().get("clear") == "done", "the move is over", 60.0)
    cluster.kubectl("label", "node", "n2", "cpp/security-tier-")
    assert [each.node for each in targets(cluster, "risky")] == ["n2"]


def test_without_the_webhook_pods_are_made_all_the_same_and_landing_elsewhere_is_recorded(
    cluster: Cluster, open_scene: Callable[..., MoveScene], workloads: Callable[..., Target]
) -> None:
    cluster.apply(configuration(cluster.authority, f"{HOST}:{free_ports(1)[0]}"))
    victim = workloads("lost")
    with open_scene() as scene:
        scene.forecasts.say(Forecasts({"n1": 1.2, "n2": 0.3, FAVOURITE: 12.0}, suffered={victim: 0.6}))
        scene.alert(victim, "migrate")
        scene.wait(lambda: scene.states().get("clear") == "done", "the move is over", 60.0)
        assert (scene.step("land")["node"], scene.step("land")["after_raw"]) == ("n2", FAVOURITE)
        assert scene.shadows() == []


def test_with_a_certificate_that_has_run_out_nothing_is_evicted(
    cluster: Cluster, open_scene: Callable[..., MoveScene], workloads: Callable[..., Target]
) -> None:
    victim = workloads("kept")
    with open_scene() as scene:
        issue(cluster.authority, days=0)
        scene.forecasts.say(Forecasts({"n1": 1.2, "n2": 0.3, FAVOURITE: 12.0}, suffered={victim: 0.6}))
        scene.alert(victim, "migrate")
        scene.wait(lambda: scene.refused(victim) == "steering_down", "it is refused")
        assert victim in targets(cluster, "kept")
        assert scene.shadows() == []
        issue(cluster.authority)
        scene.wait(lambda: scene.states().get("clear") == "done", "with another one it moves", 60.0)
        assert scene.step("land")["after_raw"] == "n2"


def test_a_pod_of_nobody_that_moves_is_made_as_it_was_asked_for(
    cluster: Cluster, open_scene: Callable[..., MoveScene], workloads: Callable[..., Target]
) -> None:
    with open_scene():
        target = workloads("plain")
        pod = cluster.get("pod", target.pod, f"--namespace={SHOP}")
    assert "affinity" not in pod["spec"]
    assert "cpp/moved-at" not in json.dumps(pod["metadata"].get("annotations", {}))
