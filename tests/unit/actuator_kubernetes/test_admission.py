import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest
import requests
from apiserver.nodes import node, pod
from apiserver.patches import apply_operations
from apiserver.server import StubApiServer
from flask.testing import FlaskClient
from kubernetes.client import ApiClient

from actuator.admission import admitting, create_admission
from actuator.config import Config, ConfigError
from actuator.ledger.sqlite import SqliteLedger
from actuator.model.decisions import Plan, Step, StepOutcome, StepState
from actuator.model.orders import Target
from actuator.platforms.kubernetes.cluster_api import ClusterApi
from actuator.platforms.kubernetes.moves import Moves
from actuator.platforms.kubernetes.placeholder import for_move
from actuator.platforms.kubernetes.placeholders import Placeholders
from actuator.platforms.settings import KubernetesConfig
from actuator.records import Origin
from actuator.steering import Steering
from deploy.cluster.pki import Authority
from deploy.demo.ports import free_ports

NOW = 1000.0
TARGET = Target("n1", "shop", "web-1", "main", "c" * 64)
OWNER = {"kind": "ReplicaSet", "name": "web", "uid": "set-web", "controller": True}


class Scene:
    """A move whose pod is about to be replaced, and the webhook beside it."""

    def __init__(self, server: StubApiServer, client: ApiClient, directory: Path) -> None:
        self.server, self.now = server, NOW
        api = ClusterApi(client, 5.0)
        placeholders = Placeholders(api, KubernetesConfig(placeholder_patience=0.1))
        self.ledger = SqliteLedger(directory / "ledger.sqlite")
        placeholders.put(for_move(TARGET, "uid-1", "n3", {"cpu": 0.5}))
        self.steering = Steering(self.ledger, Moves(api, placeholders), lambda: self.now)
        self.client: FlaskClient = create_admission(self.steering).test_client()
        self._begin()

    def _begin(self) -> None:
        order = self.ledger.open_restore(TARGET, NOW)
        steps = (
            Step("place", "", None, None, node="n3", uid="uid-1"),
            Step("steer", "", None, None, NOW + 180, node="n3", uid="set-web"),
            Step("evict", "", None, None, node="n3", uid="uid-1"),
            Step("land", "", None, None, NOW + 180, node="n3", uid="set-web"),
            Step("clear", "", None, None, node="n3", uid="uid-1"),
        )
        self.records = self.ledger.record_plan(order, TARGET, Plan(steps, "a test"), Origin.ORDER, NOW)
        for record in self.records[:3]:
            assert self.ledger.begin_step(record, NOW)
            if record.step.kind != "evict":
                self.ledger.end_step(record, StepOutcome(StepState.DONE), NOW)

    def end(self) -> None:
        (clear,) = (record for record in self.records if record.step.kind == "clear")
        self.ledger.begin_step(clear, NOW)
        self.ledger.end_step(clear, StepOutcome(StepState.DONE), NOW)

    def placeholders(self) -> int:
        return len(self.server.store.find("pods", "cpp-system"))

    def ask(self, document: dict[str, Any], dry_run: bool = False) -> dict[str, Any]:
        """Return the pod as it would be made."""
        asked = {"uid": "review-1", "namespace": "shop", "operation": "CREATE", "dryRun": dry_run, "object": document}
        body = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": asked}
        answer = self.client.post("/mutate", json=body)
        assert answer.status_code == 200
        review = answer.get_json()
        response = review["response"]
        assert (review["kind"], response["uid"], response["allowed"]) == ("AdmissionReview", "review-1", True)
        if "patch" not in response:
            return document
        assert response["patchType"] == "JSONPatch"
        changed: dict[str, Any] = apply_operations(document, json.loads(base64.b64decode(response["patch"])))
        return changed


@pytest.fixture
def free_port() -> int:
    return free_ports(1)[0]


@pytest.fixture
def scene(living: StubApiServer, client: ApiClient, tmp_path: Path) -> Scene:
    living.add("nodes", node("n3"))
    return Scene(living, client, tmp_path)


def replacement(**spec: Any) -> dict[str, Any]:
    document = pod("web-2", "shop", {"cpu": "500m"}, {}, **spec)
    document["metadata"]["ownerReferences"] = [OWNER]
    return document


def preferred(document: dict[str, Any]) -> list[Any]:
    wishes: list[Any] = document["spec"]["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    return wishes


def test_the_replacement_prefers_the_target_and_its_room_is_freed_in_the_same_call(scene: Scene) -> None:
    assert scene.placeholders() == 1
    made = scene.ask(replacement())
    (wish,) = preferred(made)
    assert wish["weight"] == 100
    assert wish["preference"]["matchFields"] == [{"key": "metadata.name", "operator": "In", "values": ["n3"]}]
    assert made["metadata"]["annotations"] == {"cpp/moved-from": "uid-1", "cpp/moved-at": "1000"}
    assert scene.placeholders() == 0


def test_what_the_pod_itself_wants_is_kept(scene: Scene) -> None:
    anti = {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "zone"}]}
    wish = {"weight": 5, "preference": {"matchExpressions": [{"key": "disk", "operator": "Exists"}]}}
    own = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [wish]}, "podAntiAffinity": anti}
    asked = replacement(affinity=own)
    asked["metadata"]["annotations"] = {"team": "shop"}
    made = scene.ask(asked)
    assert preferred(made)[0] == wish
    assert len(preferred(made)) == 2
    assert made["spec"]["affinity"]["podAntiAffinity"] == anti
    assert made["metadata"]["annotations"]["team"] == "shop"


def test_a_dry_run_frees_nothing_and_steers_nobody_after_it_less(scene: Scene) -> None:
    assert preferred(scene.ask(replacement(), dry_run=True))
    assert scene.placeholders() == 1
    assert preferred(scene.ask(replacement()))


@pytest.mark.parametrize(
    "owners", [[], [{**OWNER, "uid": "set-other"}], [{**OWNER, "controller": False}], [{"kind": "ReplicaSet"}]]
)
def test_pods_of_others_are_made_as_they_were_asked_for(scene: Scene, owners: list[Any]) -> None:
    asked = replacement()
    asked["metadata"]["ownerReferences"] = owners
    assert scene.ask(asked) == asked
    assert scene.placeholders() == 1


def test_only_one_replacement_is_sent_there(scene: Scene) -> None:
    scene.server.add("pods", scene.ask(replacement()))
    second = replacement()
    assert scene.ask(second) == second


def test_a_replacement_that_was_refused_after_it_was_steered_is_steered_again(scene: Scene) -> None:
    scene.ask(replacement())
    assert preferred(scene.ask(replacement()))


def test_after_the_move_or_its_time_nobody_is_steered(scene: Scene) -> None:
    asked = replacement()
    scene.now = NOW + 181
    assert scene.ask(asked) == asked
    scene.now = NOW
    scene.end()
    assert scene.ask(asked) == asked


def test_a_pod_is_steered_also_where_the_room_cannot_be_freed(scene: Scene) -> None:
    scene.server.stop()
    assert preferred(scene.ask(replacement()))


def test_a_pod_is_let_through_where_the_ledger_cannot_be_read(scene: Scene) -> None:
    scene.ledger.close()
    asked = replacement()
    assert scene.ask(asked) == asked


@pytest.mark.parametrize("body", [None, [], {}, {"apiVersion": "v1", "request": {"uid": "u"}}, {"request": 7}])
def test_what_is_no_review_is_told_so(scene: Scene, body: Any) -> None:
    answer = scene.client.post("/mutate", json=body)
    assert answer.status_code == 400
    assert "AdmissionReview" in answer.get_json()["error"]


def _section(directory: Path, port: int) -> dict[str, Any]:
    files = {"cert_file": directory / "steer.crt", "key_file": directory / "steer.key"}
    return {
        "webhook": {"token_file": directory / "token"},
        "admission": {"listen_address": f"127.0.0.1:{port}", **files},
    }


def test_it_is_answered_in_tls_with_the_certificate_as_it_is_on_disk(
    scene: Scene, tmp_path: Path, free_port: int
) -> None:
    config = Config.model_validate(_section(tmp_path, free_port))
    first, second = Authority(tmp_path / "first"), Authority(tmp_path / "second")
    for authority in (first, second):
        authority.found()
        authority.issue("steer", "/CN=steer", "IP:127.0.0.1")
    _install(first, tmp_path)
    with admitting(config.admission, scene.client.application):
        _post(free_port, first)
        time.sleep(0.01)
        _install(second, tmp_path)
        _post(free_port, second)


def _install(authority: Authority, directory: Path) -> None:
    for name in ("steer.crt", "steer.key"):
        (directory / name).write_bytes(authority.path(name).read_bytes())


def _post(port: int, authority: Authority) -> None:
    answer = requests.post(f"https://127.0.0.1:{port}/mutate", json={}, verify=str(authority.certificate), timeout=5)
    assert answer.status_code == 400


def test_a_missing_certificate_is_named_at_the_start(scene: Scene, tmp_path: Path, free_port: int) -> None:
    config = Config.model_validate(_section(tmp_path, free_port))
    with pytest.raises(ConfigError, match=r"steer\.crt"), admitting(config.admission, scene.client.application):
        pass
