"""A move's touches of the cluster: room held on the target, the eviction, and where the replacement is."""

from actuator.model.orders import Target
from actuator.placement import MOVED_FROM, Landing
from actuator.platforms.errors import ConflictError, GoneError
from actuator.platforms.kubernetes.cluster_api import ClusterApi
from actuator.platforms.kubernetes.documents import Pod
from actuator.platforms.kubernetes.placeholder import MOVE, for_move, move_name, moved_uid
from actuator.platforms.kubernetes.placeholders import Placeholders

_NEXT_TO_NOTHING = {"cpu": 0.001}
"""Held for a pod that requests nothing, so that it can be seen whether anything is held."""


class Moves:
    """Moves pods of one cluster."""

    def __init__(self, api: ClusterApi, placeholders: Placeholders) -> None:
        self._api, self._placeholders = api, placeholders

    def place(self, target: Target, uid: str, node: str) -> float:
        """Hold room on ``node`` for all that the pod requests. Raises PlatformError.

        Return when the newest pod of its controller was made, by the server's clock: none so old replaces it.
        """
        pod = self._meant(target, uid)
        requests = {resource: pod.request(resource) for resource in ("cpu", "memory")}
        held = {resource: amount for resource, amount in requests.items() if amount}
        self._placeholders.put(for_move(target, uid, node, held or _NEXT_TO_NOTHING))
        controller = pod.metadata.controller
        siblings = [each for each in self._api.labelled(target.namespace, "") if each.metadata.controller == controller]
        return max((each.metadata.made_at for each in siblings), default=0.0)

    def evict(self, target: Target, uid: str) -> None:
        """Evict the pod, while room is held for it and its budget allows it. Raises PlatformError."""
        if not self._placeholders.held(move_name(uid)):
            raise ConflictError("others have taken the room that was held for it")
        self._api.evict(target.namespace, target.pod, uid)

    def evicted(self, target: Target, uid: str) -> bool:
        """Tell whether the pod is gone or on its way out. Raises PlatformError."""
        try:
            return self._meant(target, uid).metadata.deletion_timestamp is not None
        except GoneError:
            return True

    def landing(self, target: Target, uid: str, controller: str, made_after: float) -> Landing | None:
        """Return where the controller's replacement of the pod is; None where there is none yet. Raises PlatformError.

        It is the one that the webhook has marked, else the first made after ``made_after``, by the server's clock.
        """
        pods = [pod for pod in self._api.labelled(target.namespace, "") if _replaces(pod, uid, controller)]
        marked = [pod for pod in pods if pod.metadata.annotations.get(MOVED_FROM) == uid]
        newer = sorted((pod for pod in pods if pod.metadata.made_at > made_after), key=lambda pod: pod.metadata.made_at)
        found = next(iter((*marked, *newer)), None)
        if found is None:
            return None
        return Landing(found.metadata.name, found.spec.node_name, found.ready)

    def clear(self, uid: str) -> None:
        """Hold no more room for the pod's replacement; where none is held, nothing happens. Raises PlatformError."""
        self._placeholders.remove(move_name(uid))

    def steered(self, namespace: str, uid: str) -> bool:
        """Tell whether a replacement of the pod was steered already and is there. Raises PlatformError."""
        pods = self._api.labelled(namespace, "")
        there = (pod.metadata for pod in pods if pod.metadata.deletion_timestamp is None)
        return any(each.annotations.get(MOVED_FROM) == uid for each in there)

    def held(self) -> list[str]:
        """Return the uids of the pods for whose moves room is held. Raises PlatformError."""
        return [moved_uid(pod) for pod in self._placeholders.all(MOVE)]

    def _meant(self, target: Target, uid: str) -> Pod:
        pod = self._api.pod(target.namespace, target.pod)
        if pod.metadata.uid != uid:
            raise GoneError(f"pod {target.pod} of uid {uid} is gone; another has its name")
        return pod


def _replaces(pod: Pod, uid: str, controller: str) -> bool:
    owner = pod.metadata.controller
    own = owner is not None and owner.uid == controller
    return own and pod.metadata.uid != uid and pod.metadata.deletion_timestamp is None
