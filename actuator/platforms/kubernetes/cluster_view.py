"""Nodes and pods as places and movers: what the API server knows of them that bears on a move."""

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace

from actuator.model.orders import Target
from actuator.placement import Mover, Place, Room
from actuator.platforms.kubernetes.cluster_api import ClusterApi
from actuator.platforms.kubernetes.consent import PART
from actuator.platforms.kubernetes.documents import Node, Pod
from actuator.platforms.kubernetes.fits import Neighbours, barrier
from actuator.platforms.kubernetes.lately import Lately
from actuator.platforms.kubernetes.mover import mover_of
from actuator.platforms.kubernetes.scheduling import NodeChoice

_RESOURCES = ("cpu", "memory")
_TIER = "cpp/security-tier"
_OVER = ("Succeeded", "Failed")
_COUNTS_FOR = 10.0
_EFFORT = 20.0
"""Of the time, not more than one part in so many is spent on looking at everything."""


class Snapshot:
    """All nodes, and all pods that take room on one, at one time."""

    def __init__(self, nodes: Iterable[Node], pods: Iterable[Pod]) -> None:
        self.nodes = {node.metadata.name: node for node in nodes}
        self.by_node: dict[str, list[Pod]] = defaultdict(list)
        self.by_controller: dict[str, list[Pod]] = defaultdict(list)
        for pod in pods:
            if pod.spec.node_name in self.nodes and pod.status.phase not in _OVER:
                self.by_node[pod.spec.node_name].append(pod)
                if pod.metadata.controller is not None:
                    self.by_controller[pod.metadata.controller.uid].append(pod)
        self.neighbours = Neighbours([(pod, self.nodes[name]) for name, there in self.by_node.items() for pod in there])
        usable = [node for _, node in sorted(self.nodes.items()) if node.status.has_room]
        self.places = tuple(_place(node, self.by_node[node.metadata.name]) for node in usable)

    def pod(self, target: Target) -> Pod | None:
        """Return the pod that has this very container; one of the same name after a restart is another."""
        for pod in self.by_node[target.node]:
            if (pod.metadata.namespace, pod.metadata.name) == (target.namespace, target.pod):
                status = pod.container_status(target.container)
                same = status is None or status.bare_id == target.container_id
                return pod if same and pod.metadata.deletion_timestamp is None else None
        return None

    def siblings(self, pod: Pod) -> Sequence[Pod]:
        """Return the pods of the same controller, itself included."""
        controller = pod.metadata.controller
        return self.by_controller[controller.uid] if controller else [pod]


class ClusterView:
    """One cluster; what was asked is used again for some seconds. ``clock`` is a monotonic time.

    That is safe: the scheduler has the last word on room, and the eviction on budgets and on who is meant.
    """

    def __init__(self, api: ClusterApi, home: str, clock: Callable[[], float] = time.monotonic) -> None:
        """``home`` is the namespace of this system, none of whose pods is moved."""
        self._api, self._home = api, home
        self._snapshots = Lately(lambda: Snapshot(api.nodes(), api.pods()), _COUNTS_FOR, clock, _EFFORT)
        self._budgets = Lately(api.budgets, _COUNTS_FOR, clock)
        self._namespaces = Lately(api.namespace, _COUNTS_FOR, clock)

    def places(self) -> tuple[Place, ...]:
        """Return every node that has room for pods, without forecasts. Raises PlatformError."""
        return self._snapshots().places

    def movers(self, targets: Collection[Target]) -> list[Mover]:
        """Return the pods of those containers that are there, without forecasts and scores. Raises PlatformError."""
        seen = self._snapshots()
        found = ((target, seen.pod(target)) for target in targets)
        return [self._mover(seen, target, pod) for target, pod in found if pod is not None]

    def _mover(self, seen: Snapshot, target: Target, pod: Pod) -> Mover:
        budgets, namespace = self._budgets(target.namespace), self._namespaces(target.namespace)
        mover = mover_of(target, pod, seen.siblings(pod), budgets, namespace, self._home)
        volumes = self._reach(pod)
        found = {name: barrier(pod, node, seen.neighbours, volumes) for name, node in seen.nodes.items()}
        return replace(mover, barriers={name: why for name, why in found.items() if why})

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


def _place(node: Node, pods: Sequence[Pod]) -> Place:
    rooms = {}
    for resource in _RESOURCES:
        has = node.status.allocatable[resource]
        requested = sum(pod.request(resource) for pod in pods)
        held = sum(pod.request(resource) for pod in pods if PART in pod.metadata.labels and _is_placeholder(pod))
        rooms[resource] = Room(has, has - requested, held)
    return Place(node.metadata.name, rooms, node.metadata.labels.get(_TIER, ""))


def _is_placeholder(pod: Pod) -> bool:
    return pod.metadata.labels.get(PART) == "shadow"
