"""What the kubelet knows of those whom cAdvisor lists: their workload, tenant, image and requests."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from exporter.history.counters import Doubles
from exporter.history.identity import Identity
from exporter.sources.pods import PodContainer, Pods

_UNKNOWN = PodContainer(image="", runtime="", cpu_request=np.nan, memory_request=np.nan)


class Residents:
    """The node's pods, as they were when the kubelet was last asked."""

    def __init__(self) -> None:
        self._pods: Pods = {}
        self._described: dict[Identity, Identity] = {}

    def learn(self, pods: Pods) -> None:
        """Take what the kubelet says."""
        if pods is not self._pods:
            self._pods = pods
            self._described.clear()

    def knows(self, identity: Identity) -> bool:
        """Return whether the kubelet has told whose this is; else its workload is guessed from the pod's name."""
        return (identity.namespace, identity.pod) in self._pods

    def describe(self, identity: Identity) -> Identity:
        """Return the identity as the kubelet has it."""
        if not self.knows(identity):
            return identity
        found = self._described.get(identity)
        if found is None:
            found = self._described[identity] = self._describe(identity)
        return found

    def requests(self, identities: Sequence[Identity]) -> tuple[Doubles, Doubles]:
        """Return requests of CPU (cores) and memory (bytes), [rows]; NaN where none is known."""
        found = [self._container(identity) for identity in identities]
        return np.array([each.cpu_request for each in found]), np.array([each.memory_request for each in found])

    def _describe(self, identity: Identity) -> Identity:
        pod, container = self._pods[identity.namespace, identity.pod], self._container(identity)
        return replace(
            identity,
            workload=f"{identity.namespace}/{pod.workload}/{identity.container}",
            tenant=pod.tenant,
            image=container.image or identity.image,
            runtime=container.runtime or identity.runtime,
        )

    def _container(self, identity: Identity) -> PodContainer:
        pod = self._pods.get((identity.namespace, identity.pod))
        return _UNKNOWN if pod is None else pod.containers.get(identity.container, _UNKNOWN)
