"""What stands around a pod: its node, its namespace, its makers, and who else sets its resources."""

from collections.abc import Callable, Mapping

from actuator.platforms.errors import GoneError, UnavailableError
from actuator.platforms.kubernetes.api import Api
from actuator.platforms.kubernetes.documents import Metadata, Node, Pod
from actuator.platforms.kubernetes.lately import Lately
from actuator.platforms.kubernetes.rivals import Owner, Verticals, rivals

_COUNTS_FOR = 10.0
_SETTLED_FOR = 60.0
"""What a node has, and who made a replica set, changes with a restart of the one and a new name of the other."""


class UnknownNodeError(UnavailableError):
    """The node of one pod is gone, or says too little of itself; of other pods that says nothing."""


class Surroundings:
    """Answers of one API server, each at most a minute old by ``clock``, and ten seconds where people may write."""

    def __init__(self, api: Api, clock: Callable[[], float]) -> None:
        self._api = api
        self._nodes = Lately(api.node, _SETTLED_FOR, clock)
        self._namespaces = Lately(api.namespace, _COUNTS_FOR, clock)
        self._replica_sets = Lately(api.replica_set, _SETTLED_FOR, clock)
        self._horizontals = Lately(api.horizontals, _COUNTS_FOR, clock)
        self._verticals = Lately(self._installed_verticals, _COUNTS_FOR, clock)

    def node(self, pod: Pod) -> Node:
        """Return the node of a pod. Raises PlatformError."""
        try:
            node = self._nodes(pod.spec.node_name)
        except GoneError as error:
            name = pod.spec.node_name or "(none)"
            raise UnknownNodeError(f"node {name} of pod {pod.metadata.name} is not to be had") from error
        if not node.status.has_room:
            raise UnknownNodeError(f"node {node.metadata.name} does not say what CPU and memory it has for pods")
        return node

    def namespace(self, pod: Pod) -> Metadata:
        """Return what people wrote on a pod's namespace. Raises PlatformError."""
        return self._namespaces(pod.metadata.namespace)

    def rivals(self, pod: Pod, container: str) -> Mapping[str, str]:
        """Return by resource which autoscaler of the pod's makers has a say in it. Raises PlatformError."""
        horizontals = self._horizontals(pod.metadata.namespace)
        verticals = self._verticals(pod.metadata.namespace)
        if not horizontals.items and not verticals.items:
            return {}
        return rivals(self._makers(pod), container, horizontals, verticals)

    def _installed_verticals(self, namespace: str) -> Verticals:
        try:
            return self._api.verticals(namespace)
        except GoneError:  # where vertical autoscaling is not installed the API server knows no such kind
            return Verticals()

    def _makers(self, pod: Pod) -> list[Owner]:
        maker = pod.metadata.controller
        if maker is None:
            return []
        above = None
        if maker.kind == "ReplicaSet":
            above = self._replica_sets(pod.metadata.namespace, maker.name).controller
        return [(each.kind, each.name) for each in (maker, above) if each is not None]
