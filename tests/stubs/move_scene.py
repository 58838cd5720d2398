"""The whole worker with its admission webhook on a real cluster; forecasts and scores are what a test says."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Any

from kubernetes.client import ApiClient
from worker_scene import HOME, Scene, Truth

from actuator.admission import admitting
from actuator.config import Config
from actuator.model.knowledge import Observation
from actuator.model.orders import Target
from actuator.moving import Moving
from actuator.observe import Sample
from actuator.outlook import Scout
from actuator.platforms.kubernetes.cluster_api import ClusterApi
from actuator.platforms.kubernetes.cluster_view import ClusterView
from actuator.platforms.kubernetes.moves import Moves
from actuator.platforms.kubernetes.placeholders import Placeholders
from actuator.platforms.kubernetes.platform import KubernetesPlatform
from actuator.platforms.kubernetes.steering_check import SteeringCheck
from actuator.platforms.settings import KubernetesConfig
from actuator.relocate import MovingExecutor
from actuator.service import Outside, build
from deploy.cluster.cluster import Cluster
from deploy.cluster.node import PAUSE

_SEEN = Observation(at=0.0, firing=True, sample_age=1.0, usage=0.1)


def _may(verbs: str, resources: str, group: str = "") -> dict[str, Any]:
    return {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split()}


_TO_MOVE = [
    _may("get list", "pods nodes"),
    _may("get", "namespaces persistentvolumeclaims persistentvolumes"),
    _may("get", "replicasets", "apps"),
    _may("list", "horizontalpodautoscalers", "autoscaling"),
    _may("list", "verticalpodautoscalers", "autoscaling.k8s.io"),
    _may("create", "events", "events.k8s.io"),
    _may("list", "poddisruptionbudgets", "policy"),
    _may("create", "pods/eviction"),
    _may("get", "mutatingwebhookconfigurations", "admissionregistration.k8s.io"),
]


def allow_moves(cluster: Cluster) -> None:
    """Give the actuator's account the rights that moves take, and no other."""
    group, named = "rbac.authorization.k8s.io", {"name": "actuator-moves"}
    account = {"kind": "ServiceAccount", "name": "actuator", "namespace": HOME}
    role = {"apiGroup": group, "kind": "ClusterRole", **named}
    head = {"apiVersion": f"{group}/v1", "metadata": named}
    cluster.apply(
        {**head, "kind": "ClusterRole", "rules": _TO_MOVE},
        {**head, "kind": "ClusterRoleBinding", "roleRef": role, "subjects": [account]},
    )


@dataclass(frozen=True)
class Forecasts:
    """Cores by node; scores and bytes by container."""

    nodes: dict[str, float]
    suffered: dict[Target, float] = field(default_factory=dict)
    caused: dict[Target, float] = field(default_factory=dict)
    risk: dict[Target, float] = field(default_factory=dict)
    warm_bytes: dict[Target, float] = field(default_factory=dict)

    def samples(self, at: float) -> Iterator[Sample]:
        """Yield what Prometheus would have."""
        for node, cores in self.nodes.items():
            for resource, unit, use in (("cpu", "cores", cores), ("memory", "bytes", 2.0**28)):
                yield {"__name__": f"cpp_node_{resource}_forecast_{unit}", "node": node, "level": "0.9"}, use
            yield {"__name__": "cpp_last_sample_timestamp_seconds", "source": "cadvisor", "node": node}, at
        said = {
            "cpp_interference_suffered_ratio": self.suffered,
            "cpp_interference_caused_ratio": self.caused,
            "cpp_security_risk_ratio": self.risk,
            "cpp_memory_working_set_bytes": self.warm_bytes,
        }
        for name, values in said.items():
            for target, value in values.items():
                yield {"__name__": name, **asdict(target), "resource": "cpu", "victim": "main"}, value


class Told:
    """A Prometheus that a test speaks through."""

    def __init__(self) -> None:
        self.now = Forecasts({})

    def say(self, forecasts: Forecasts) -> None:
        """Answer so from now on."""
        self.now = forecasts

    def query(self, expression: str, at: float) -> list[Sample]:
        """Return every sample; the actuator picks those that it asked for by name."""
        return list(self.now.samples(at))


class MoveScene(Scene):
    """A worker that moves pods and listens for the API server until the scene ends."""

    def __init__(self, cluster: Cluster, config: Config, client: ApiClient) -> None:
        self.cluster, self.truth, self.forecasts = cluster, Truth(_SEEN), Told()
        kubernetes = KubernetesConfig(placeholder_image=PAUSE, placeholder_patience=5.0)
        api = ClusterApi(client, 5.0)
        platform = KubernetesPlatform(api, kubernetes, lambda _: None)
        hands = Moves(api, Placeholders(api, kubernetes))
        steering = SteeringCheck(api, config.admission, time.time)
        moving = Moving(ClusterView(api, HOME), hands, Scout(self.forecasts.query, 15.0), steering)
        outside = Outside(platform, MovingExecutor(platform, hands, steering), self.truth, moving=moving)
        self.service = build(config, outside, None, time.time)
        self._thread = threading.Thread(target=self.service.worker.run)
        self._config, self._listening = config, ExitStack()

    def __enter__(self) -> "MoveScene":
        self._listening.enter_context(admitting(self._config.admission, self.service.admission))
        self.service.worker.run_once()  # only who has taken over takes alerts
        super().__enter__()
        return self

    def __exit__(self, *problem: object) -> None:
        super().__exit__(*problem)
        self._listening.close()

    def states(self) -> dict[str, str]:
        """Return the state of each step of the newest move."""
        return {step["kind"]: step["state"] for step in self._newest()}

    def step(self, kind: str) -> dict[str, Any]:
        """Return a step of the newest move."""
        return next(step for step in self._newest() if step["kind"] == kind)

    def refused(self, target: Target) -> str:
        """Return the code of the last refusal for a container."""
        decisions = (
            decision
            for action in self.service.ledger.actions(50)
            if action["target"]["pod"] == target.pod
            for decision in action["decisions"]
        )
        return next((decision["code"] for decision in decisions if decision["kind"] == "refusal"), "")

    def _newest(self) -> list[dict[str, Any]]:
        plans = [
            decision
            for action in self.service.ledger.actions(50)
            for decision in action["decisions"]
            if decision["kind"] == "plan"
        ]
        return plans[-1]["steps"] if plans else []
