"""The whole worker on a real cluster, under rights of its own, with a stand-in for Prometheus alone."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

from kubernetes.client import ApiClient, Configuration

from actuator.config import Config
from actuator.execute import Executor
from actuator.model.knowledge import Observation
from actuator.model.orders import Order, Target
from actuator.platforms.protocol import Platform
from actuator.service import Outside, Service, build
from deploy.cluster.cluster import Cluster

HOME = "cpp-system"
_IDENTITY = ("node", "namespace", "pod", "container", "container_id")


def core(resource: str, *verbs: str, group: str = "") -> dict[str, Any]:
    """Return a rule of a role."""
    return {"apiGroups": [group], "resources": [resource], "verbs": list(verbs)}


_EVERYWHERE = [
    core("pods", "get", "list", "patch"),
    core("pods/resize", "patch"),
    core("nodes", "get"),
    core("namespaces", "get"),
    core("replicasets", "get", group="apps"),
    core("horizontalpodautoscalers", "list", group="autoscaling"),
    core("verticalpodautoscalers", "list", group="autoscaling.k8s.io"),
    core("events", "create", group="events.k8s.io"),
]
_AT_HOME = [core("pods", "create", "delete")]


def settle_in(cluster: Cluster) -> None:
    """Make the actuator's namespace, its priority class and an account with the rights that it needs and no other."""
    kind = "rbac.authorization.k8s.io/v1"
    account = {"kind": "ServiceAccount", "name": "actuator", "namespace": HOME}

    def bind(role: str, binding: str, place: dict[str, str]) -> dict[str, Any]:
        role_ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": role, "name": "actuator"}
        metadata = {"name": "actuator", **place}
        return {"apiVersion": kind, "kind": binding, "metadata": metadata, "roleRef": role_ref, "subjects": [account]}

    named, at_home = {"name": "actuator"}, {"namespace": HOME}
    cluster.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": HOME, "labels": {
            "pod-security.kubernetes.io/enforce": "restricted"}}},
        {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "cpp-shadow"},
         "value": -10, "preemptionPolicy": "Never"},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": named | at_home},
        {"apiVersion": kind, "kind": "ClusterRole", "metadata": named, "rules": _EVERYWHERE},
        {"apiVersion": kind, "kind": "Role", "metadata": named | at_home, "rules": _AT_HOME},
        bind("ClusterRole", "ClusterRoleBinding", {}),
        bind("Role", "RoleBinding", at_home),
    )  # fmt: skip


@contextmanager
def as_actuator(cluster: Cluster) -> Iterator[ApiClient]:
    """Give a client with the rights of the account."""
    configuration = Configuration(host=cluster.server)
    configuration.ssl_ca_cert = str(cluster.authority.certificate)
    token = cluster.kubectl("create", "token", "actuator", f"--namespace={HOME}", "--duration=1h").strip()
    configuration.api_key = {"authorization": f"Bearer {token}"}
    client = ApiClient(configuration)
    yield client
    client.close()


@dataclass
class Truth:
    """Says what the test says; a demand is due now unless it says when."""

    seen: Observation

    def say(self, **changes: Any) -> None:
        """Change what is seen from now on."""
        self.seen = replace(self.seen, **changes)

    def observe(self, order: Order, at: float) -> Observation:
        """See Observer."""
        return replace(self.seen, at=at, forecast_due_at=self.seen.forecast_due_at or at)


class Scene:
    """A worker that runs until the scene ends."""

    def __init__(self, cluster: Cluster, config: Config, platform: Platform, truth: Any) -> None:
        """``truth`` is a stand-in's, or an observer of one that listens."""
        self.cluster, self.truth = cluster, truth
        self.service: Service = build(config, Outside(platform, Executor(platform), truth), None, time.time)
        self._thread = threading.Thread(target=self.service.worker.run)

    def __enter__(self) -> "Scene":
        self._thread.start()
        watchdog = {"labels": {"alertname": "CppWatchdog", "cluster": "lab", "severity": "none"}}
        self.wait(lambda: self._post(watchdog) == 202, "it takes alerts")
        return self

    def __exit__(self, *_: object) -> None:
        self.service.worker.stop()
        self._thread.join()
        self.service.ledger.close()

    def alert(self, target: Target, intent: str, resource: str = "cpu", status: str = "firing", name: str = "") -> None:
        """Deliver an alert as Alertmanager would."""
        asked = {"alertname": name or f"Cpp{intent.title()}", "cluster": "lab", "severity": "info", "intent": intent}
        labels = asked | {"resource": resource} | dict(zip(_IDENTITY, astuple(target), strict=True))
        alert = {"status": status, "labels": labels, "fingerprint": f"{intent}-{target.pod}-{resource}"}
        assert self._post(alert) == 202

    def shadows(self) -> list[dict[str, Any]]:
        """Return the placeholders as kubectl has them."""
        found: list[dict[str, Any]] = self.cluster.get("pods", f"--namespace={HOME}", "--selector=cpp/part=shadow")[
            "items"
        ]
        return found

    def reserved(self) -> list[float]:
        """Return what the ledger holds."""
        return [held.amount for _, held in self.service.ledger.reservations()]

    def steps(self) -> list[dict[str, Any]]:
        """Return every step of every order, the newest order's first."""
        decisions = (decision for action in self.service.ledger.actions(50) for decision in action["decisions"])
        return [step for decision in decisions for step in decision["steps"]]

    def metric(self, start: str) -> float:
        """Return the value of the first line of /metrics that begins so."""
        text = self.service.app.test_client().get("/metrics").get_data(as_text=True)
        return next(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(start))

    def wait(self, predicate: Callable[[], object], what: str, timeout: float = 20.0) -> None:
        """Wait until ``predicate`` holds; fail with ``what``."""
        self.cluster.wait_for(predicate, timeout, what)

    def _post(self, alert: dict[str, Any]) -> int:
        whole = {"status": "firing", "annotations": {}, "startsAt": "2026-01-01T00:00:00Z", "fingerprint": "f"}
        whole |= {"endsAt": "0001-01-01T00:00:00Z", "generatorURL": "", **alert}
        body = {"version": "4", "status": "firing", "receiver": "cpp", "groupKey": "g", "alerts": [whole]}
        headers = {"Authorization": "Bearer secret"}
        return self.service.app.test_client().post("/alerts", json=body, headers=headers).status_code


def settings(directory: Path, **limits: Any) -> Config:
    """Return a configuration whose ledger is in ``directory``."""
    (directory / "token").write_text("secret\n")
    return Config.model_validate({
        "cluster": "lab",
        "dry_run": False,
        "webhook": {"token_file": directory / "token"},
        "ledger": {"path": directory / "ledger.sqlite"},
        "limits": {"start_up_grace": "1ms", "cooldown": "1s", "actions_per_hour": 1000, **limits},
    })  # fmt: skip
