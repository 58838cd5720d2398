"""Stand-ins for scheduler, kubelets and controllers: watchers of the store that act at once."""

import copy
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kubernetes.utils.quantity import parse_quantity

from apiserver.store import Object, Store

_STARTED = "2026-01-01T00:00:00Z"


def node(name: str, cpu: str = "4", memory: str = "8Gi", **labels: str) -> Object:
    """Return a node that is ready."""
    amounts = {"cpu": cpu, "memory": memory, "pods": "110"}
    ready = {"type": "Ready", "status": "True"}
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **labels}},
        "spec": {},
        "status": {"allocatable": amounts, "capacity": amounts, "conditions": [ready]},
    }


def pod(name: str, namespace: str, requests: dict[str, str], limits: dict[str, str], **spec: Any) -> Object:
    """Return a pod of one container ``main``, not yet scheduled."""
    container = {"name": "main", "image": "app", "resources": {"requests": requests, "limits": limits}}
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"containers": [container], **spec}}


@dataclass
class Kubelet:
    """Runs what is scheduled and gives every resize, but for those that ``postpones`` names."""

    store: Store
    postpones: str = ""
    """A reason for PodResizePending, such as Deferred or Infeasible; empty to give what is asked."""

    def __call__(self, event: str, plural: str, changed: Object) -> None:
        """Bring the status of a pod in line with its specification."""
        if plural != "pods" or event == "deleted" or not changed["spec"].get("nodeName"):
            return
        status = copy.deepcopy(changed.get("status") or {})
        if status.get("phase") != "Running":
            status |= _running(changed)
        status["conditions"] = [each for each in status["conditions"] if each["type"] != "PodResizePending"]
        if self.postpones and self._resized(changed, status):
            pending = {"type": "PodResizePending", "status": "True", "reason": self.postpones, "message": "no room"}
            status["conditions"].append(pending)
        else:
            for ours, container in zip(status["containerStatuses"], changed["spec"]["containers"], strict=True):
                ours["resources"] = copy.deepcopy(container.get("resources") or {})
        self.store.update("pods", changed, {**changed, "status": status})

    def _resized(self, changed: Object, status: Object) -> bool:
        wished = [container.get("resources") or {} for container in changed["spec"]["containers"]]
        return wished != [each["resources"] for each in status["containerStatuses"]]


@dataclass
class Scheduler:
    """Binds a pod to the node that fits: required name, selector and room; preferred affinity, then most room."""

    store: Store

    def __call__(self, event: str, plural: str, changed: Object) -> None:
        """Bind a new pod, and at each end of a pod those that still wait."""
        if plural != "pods" or event == "updated":
            return
        for waiting in [changed] if event == "created" else self.store.find("pods"):
            if not waiting["spec"].get("nodeName"):
                self._bind(waiting)

    def _bind(self, waiting: Object) -> None:
        fitting = [
            found for found in self.store.find("nodes") if _wanted(waiting, found) and self._has_room(waiting, found)
        ]
        if fitting:
            best = max(fitting, key=lambda found: (_preference(waiting, found), self._room(found, "cpu")))
            bound = {**waiting, "spec": {**waiting["spec"], "nodeName": best["metadata"]["name"]}}
        else:
            unbound = {
                "type": "PodScheduled",
                "status": "False",
                "reason": "Unschedulable",
                "message": "no node has room",
            }
            bound = {**waiting, "status": {"phase": "Pending", "conditions": [unbound]}}
        self.store.update("pods", waiting, bound)

    def _has_room(self, waiting: Object, found: Object) -> bool:
        return all(_request(waiting, resource) <= self._room(found, resource) for resource in ("cpu", "memory"))

    def _room(self, found: Object, resource: str) -> float:
        pods = self.store.find("pods", fields=f"spec.nodeName={found['metadata']['name']}")
        return _amount(found["status"]["allocatable"][resource]) - sum(_request(each, resource) for each in pods)


@dataclass
class ReplicaSets:
    """Makes a new pod for each that ends and has a controller."""

    store: Store

    def __call__(self, event: str, plural: str, changed: Object) -> None:
        """Replace a pod that was deleted."""
        metadata = changed["metadata"]
        owners = [owner for owner in metadata.get("ownerReferences", []) if owner.get("controller")]
        if plural != "pods" or event != "deleted" or not owners:
            return
        kept = {key: metadata[key] for key in ("labels", "annotations", "ownerReferences") if key in metadata}
        spec = {key: value for key, value in changed["spec"].items() if key != "nodeName"}
        name = f"{owners[0]['name']}-{secrets.token_hex(3)}"
        self.store.create("pods", metadata["namespace"], {"metadata": {"name": name, **kept}, "spec": spec})


def _running(changed: Object) -> Object:
    ready = [{"type": kind, "status": "True"} for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready")]
    statuses = [
        {
            "name": container["name"],
            "containerID": f"containerd://{secrets.token_hex(32)}",
            "ready": True,
            "restartCount": 0,
            "state": {"running": {"startedAt": _STARTED}},
            "resources": copy.deepcopy(container.get("resources") or {}),
        }
        for container in changed["spec"]["containers"]
    ]
    return {"phase": "Running", "qosClass": _qos(changed), "conditions": ready, "containerStatuses": statuses}


def _qos(changed: Object) -> str:
    resources = [container.get("resources") or {} for container in changed["spec"]["containers"]]
    if not any(each.get("requests") or each.get("limits") for each in resources):
        return "BestEffort"
    guaranteed = all(
        each.get("limits") and each.get("requests", each["limits"]) == each["limits"] for each in resources
    )
    return "Guaranteed" if guaranteed else "Burstable"


def _wanted(waiting: Object, found: Object) -> bool:
    labels = found["metadata"].get("labels", {})
    if not (waiting["spec"].get("nodeSelector") or {}).items() <= labels.items():
        return False
    required = _affinity(waiting).get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    terms = required.get("nodeSelectorTerms")
    return terms is None or any(_fits(term, found) for term in terms)


def _preference(waiting: Object, found: Object) -> int:
    preferred = _affinity(waiting).get("preferredDuringSchedulingIgnoredDuringExecution") or []
    return sum(each["weight"] for each in preferred if _fits(each["preference"], found))


def _affinity(waiting: Object) -> Object:
    return (waiting["spec"].get("affinity") or {}).get("nodeAffinity") or {}


def _fits(term: Object, found: Object) -> bool:
    labels, name = found["metadata"].get("labels", {}), {"metadata.name": found["metadata"]["name"]}
    return all(_meets(each, labels) for each in term.get("matchExpressions") or ()) and all(
        _meets(each, name) for each in term.get("matchFields") or ()
    )


def _meets(requirement: Object, own: dict[str, str]) -> bool:
    value, values = own.get(requirement["key"]), requirement.get("values") or ()
    fits = {"In": value in values, "NotIn": value not in values, "Exists": value is not None}
    return fits.get(requirement["operator"], value is None)


def _request(each: Object, resource: str) -> float:
    containers: Iterable[Object] = each["spec"]["containers"]
    return sum(_amount(((one.get("resources") or {}).get("requests") or {}).get(resource, "0")) for one in containers)


def _amount(quantity: str) -> float:
    return float(parse_quantity(quantity))
