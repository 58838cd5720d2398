"""Nodes and pods as places and movers: what the API server knows of them that bears on a move."""

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from actuator.model import Target
from actuator.placement import Mover, Place, Room
from actuator.platforms.kubernetes.cluster_api import ClusterApi
from actuator.platforms.kubernetes.documents import Node, Pod
from actuator.platforms.kubernetes.fits import Neighbours, barrier
from actuator.platforms.kubernetes.mover import mover_of
from actuator.platforms.kubernetes.scheduling import NodeChoice

RESOURCES = ("cpu", "memory")
_TIER = "cpp/security-tier"
_PART = "cpp/part"
_OVER = ("Succeeded", "Failed")
_FRESH_SECONDS = 10.0


@dataclass(frozen=True)
class Snapshot:
    """All nodes, and all pods that take room on one, at one time."""

    at: float
    nodes: Mapping[str, Node]
    pods: Mapping[str, Sequence[Pod]]
    """By node."""


class ClusterView:
    """One cluster; what was listed is used again for some seconds. ``clock`` is a monotonic time.

    That is safe: the scheduler has the last word on room, and the eviction on budgets and on who is meant.
    """

    def __init__(self, api: ClusterApi, home: str, clock: Callable[[], float] = time.monotonic) -> None:
        """``home`` is the namespace of this system, none of whose pods is moved."""
        self._api, self._home, self._clock = api, home, clock
        self._seen = Snapshot(-_FRESH_SECONDS, {}, {})

    def places(self) -> tuple[Place, ...]:
        """Return every node, without forecasts. Raises PlatformError."""
        seen = self._snapshot()
        return tuple(_place(node, seen.pods.get(name, ())) for name, node in sorted(seen.nodes.items()))

    def movers(self, targets: Collection[Target]) -> list[Mover]:
        """Return the pods of those containers that are there, without forecasts and scores. Raises PlatformError."""
        seen = self._snapshot()
        found = ((target, _pod(seen, target)) for target in targets)
        return [self._mover(seen, target, pod) for target, pod in found if pod is not None]

    def _snapshot(self) -> Snapshot:
        now = self._clock()
        if now - self._seen.at >= _FRESH_SECONDS:
            pods = defaultdict(list)
            for pod in self._api.pods():
                if pod.spec.node_name and pod.status.phase not in _OVER:
                    pods[pod.spec.node_name].append(pod)
            self._seen = Snapshot(now, {node.metadata.name: node for node in self._api.nodes()}, pods)
        return self._seen

    def _mover(self, seen: Snapshot, target: Target, pod: Pod) -> Mover:
        namespace = pod.metadata.namespace
        others = [each for each in chain(*seen.pods.values()) if each.metadata.uid != pod.metadata.uid]
        mover = mover_of(target, pod, others, self._api.budgets(namespace), self._api.namespace(namespace), self._home)
        return _with_barriers(mover, pod, others, seen, self._reach(pod))

    def _reach(self, pod: Pod) -> list[NodeChoice]:
        """Return from which nodes the pod's persistent volumes can be reached."""
        choices = []
        for volume in pod.spec.volumes:
            if volume.persistent_volume_claim is None:
                continue
            bound = self._api.claim(pod.metadata.namespace, volume.persistent_volume_claim.claim_name)
            if bound.spec.volume_name:
                choices.append(self._api.volume(bound.spec.volume_name).spec.node_affinity.required)
        return [choice for choice in choices if choice is not None]


def _with_barriers(
    mover: Mover, pod: Pod, others: Sequence[Pod], seen: Snapshot, volumes: Sequence[NodeChoice]
) -> Mover:
    known = [(each, seen.nodes[each.spec.node_name]) for each in others if each.spec.node_name in seen.nodes]
    neighbours = Neighbours(known)
    found = {name: barrier(pod, node, neighbours, volumes) for name, node in seen.nodes.items()}
    return replace(mover, barriers={name: why for name, why in found.items() if why})


def _pod(seen: Snapshot, target: Target) -> Pod | None:
    """Return the pod that has this very container; one of the same name after a restart is another."""
    for pod in seen.pods.get(target.node, ()):
        if (pod.metadata.namespace, pod.metadata.name) == (target.namespace, target.pod):
            status = pod.container_status(target.container)
            same = status is None or status.bare_id == target.container_id
            return pod if same and pod.metadata.deletion_timestamp is None else None
    return None


def _place(node: Node, pods: Sequence[Pod]) -> Place:
    rooms = {}
    for resource in RESOURCES:
        has = node.status.allocatable[resource]
        requested = sum(pod.request(resource) for pod in pods)
        held = sum(pod.request(resource) for pod in pods if _PART in pod.metadata.labels and _is_placeholder(pod))
        rooms[resource] = Room(has, has - requested, held)
    return Place(node.metadata.name, rooms, node.metadata.labels.get(_TIER, ""))


def _is_placeholder(pod: Pod) -> bool:
    return pod.metadata.labels.get(_PART) == "shadow"
