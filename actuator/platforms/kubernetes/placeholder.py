"""A placeholder: a pod that does nothing but hold room on a node, and makes way for every other pod."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import Any

from actuator.model.orders import Target
from actuator.platforms.kubernetes.documents import Pod
from actuator.platforms.kubernetes.resize import quantity

RESERVATION = "reservation"
"""What a placeholder is for where it holds a container's reservation on the container's own node."""
MOVE = "move"
"""What it is for where it holds room on another node for a pod that is about to move there."""
PRIORITY_CLASS = "cpp-shadow"
PURPOSE = "cpp/shadow"
"""The label that tells what a placeholder is for."""
_FOR = "cpp/for"
_MAY_GO = "cluster-autoscaler.kubernetes.io/safe-to-evict"
_PART_OF_NAME = 30
_MOVE_PREFIX = "shadow-move-"


@dataclass(frozen=True)
class Placeholder:
    """Room on one node."""

    name: str
    """The same for the same purpose, so that holding twice is holding once."""
    node: str
    requests: Mapping[str, float]
    """Cores and bytes."""
    purpose: str
    target: Target
    """Whose room it is."""


def for_move(target: Target, uid: str, node: str, requests: Mapping[str, float]) -> Placeholder:
    """Return what holds room on ``node`` for the replacement of the pod with ``uid``."""
    return Placeholder(move_name(uid), node, requests, MOVE, target)


def move_name(uid: str) -> str:
    """Return the name of the placeholder for the move of the pod with ``uid``."""
    return f"{_MOVE_PREFIX}{uid}"


def moved_uid(pod: Pod) -> str:
    """Return the uid of the pod for whose move a placeholder holds room."""
    return pod.metadata.name.removeprefix(_MOVE_PREFIX)


def for_reservation(target: Target, resource: str, amount: float) -> Placeholder:
    """Return what holds a container's reservation."""
    return Placeholder(reservation_name(target, resource), target.node, {resource: amount}, RESERVATION, target)


def reservation_name(target: Target, resource: str) -> str:
    """Return the name that this container's reservation of ``resource`` always has."""
    digest = hashlib.sha256("\0".join((*astuple(target), resource)).encode()).hexdigest()
    return f"shadow-{target.pod[:_PART_OF_NAME].rstrip('-.')}-{resource}-{digest[:10]}"


def reserved_for(pod: Pod) -> tuple[Target, str] | None:
    """Return the container and the resource whose reservation a placeholder holds; None where it does not say so."""
    try:
        target = Target(*json.loads(pod.metadata.annotations[_FOR]))
        (resource,) = pod.spec.containers[0].resources.requests
        return (target, resource) if reservation_name(target, resource) == pod.metadata.name else None
    except (KeyError, ValueError, TypeError):
        return None


def rounded(requests: Mapping[str, float]) -> dict[str, str]:
    """Write amounts as Kubernetes has them."""
    return {resource: quantity(resource, amount) for resource, amount in requests.items()}


def manifest(wanted: Placeholder, image: str) -> dict[str, Any]:
    """Return the pod: as little as one can be, and fit for a namespace of the Pod Security level ``restricted``."""
    return {
        "metadata": {
            "name": wanted.name,
            "labels": {"cpp/part": "shadow", PURPOSE: wanted.purpose},
            "annotations": {_FOR: json.dumps(astuple(wanted.target)), _MAY_GO: "true"},
        },
        "spec": {
            "priorityClassName": PRIORITY_CLASS,
            "affinity": _on(wanted.node),
            # It stands beside a pod that is there already, whatever the node is tainted with.
            "tolerations": [{"operator": "Exists"}],
            "containers": [_pause(image, rounded(wanted.requests))],
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65535,
                "runAsGroup": 65535,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 0,
        },
    }


def _on(node: str) -> dict[str, Any]:
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}


def _pause(image: str, requests: dict[str, str]) -> dict[str, Any]:
    rights = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    return {"name": "pause", "image": image, "resources": {"requests": requests}, "securityContext": rights}
