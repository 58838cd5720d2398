"""Limits of containers in pods: asked for through ``pods/resize``, in force when the kubelet says so."""

import time
from collections.abc import Callable

from actuator.model import Allocation, KernelValue, Target
from actuator.platforms.errors import ConflictError, GoneError, RejectedError, StoppedError
from actuator.platforms.kubernetes import resize
from actuator.platforms.kubernetes.api import Api
from actuator.platforms.kubernetes.documents import Container, ContainerStatus, Node, Pod

_POLL = 0.25
_OPT_OUT = "cpp/opt-out"
_OWN_PART = "cpp/part"
_SYSTEM = "kube-system"


class KubernetesPlatform:
    """One cluster. ``clock`` and ``sleep`` are those of a monotonic time, in seconds."""

    name = "kubernetes"

    def __init__(
        self,
        api: Api,
        patience: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Wait ``patience`` seconds for a resize to be in force before it is taken back."""
        self._api, self._patience, self._clock, self._sleep = api, patience, clock, sleep

    def inspect(self, target: Target) -> Allocation | None:
        """Return what the container has now, limits as the kubelet says they are. Raises PlatformError."""
        try:
            pod = self._pod(target)
            _, status = self._container(pod, target)
        except GoneError:
            return None
        node = self._api.node(pod.spec.node_name)
        running = status.state.running
        return Allocation(
            cpu_limit=_in_force(status, node, "cpu"),
            memory_limit=_in_force(status, node, "memory"),
            memory_usage=0.0,
            host_cpu=node.status.allocatable["cpu"],
            host_memory=node.status.allocatable["memory"],
            running=running is not None and pod.metadata.deletion_timestamp is None,
            opted_out=pod.metadata.annotations.get(_OPT_OUT, "false") != "false",
            managed_by=_SYSTEM if pod.metadata.namespace == _SYSTEM else "",
            own_part=_OWN_PART in pod.metadata.labels,
            started_at=running.started_at.timestamp() if running else 0.0,
        )

    def set_limit(self, target: Target, resource: str, value: float | None) -> None:
        """Set the limit of ``cpu`` (cores) or ``memory`` (bytes), and its request in step. Raises PlatformError.

        None stands for all that the node has. Returns when the new limit is in force; one that is not in time, or
        cannot be, is taken back.
        """
        pod = self._pod(target)
        container, _ = self._container(pod, target)
        resize.check(pod, container, resource)
        if value is None:
            value = self._api.node(pod.spec.node_name).status.allocatable[resource]
        asked = resize.wish(pod, container, resource, value)
        self._api.resize(target.namespace, target.pod, container.name, asked)
        try:
            self._await(target, resource, asked["limits"][resource])
        except (ConflictError, RejectedError):
            self._api.resize(target.namespace, target.pod, container.name, _as_it_was(container, resource, asked))
            raise

    def hold(self, target: Target, resource: str, amount: float) -> None:
        """Refuse: nothing is held on a node yet."""
        raise RejectedError(f"cannot hold {resize.quantity(resource, amount)} for pod {target.pod}")

    def let_go(self, target: Target, resource: str) -> None:
        """Do nothing, since nothing is held."""

    def kernel_value(self, target: Target, resource: str) -> KernelValue:
        """Return the limit in force, as the runtime told the kubelet. Raises PlatformError."""
        pod = self._pod(target)
        _, status = self._container(pod, target)
        if status.state.running is None:
            raise StoppedError(f"container {target.container} of pod {target.pod} does not run")
        said = status.resources.limits.get(resource)
        where = f"pod {target.namespace}/{target.pod} status {target.container} resources.limits.{resource}"
        limit = _in_force(status, self._api.node(pod.spec.node_name), resource)
        return KernelValue(where, "none" if said is None else resize.quantity(resource, said), limit)

    def _pod(self, target: Target) -> Pod:
        return self._api.pod(target.namespace, target.pod)

    def _container(self, pod: Pod, target: Target) -> tuple[Container, ContainerStatus]:
        """Return the very container that is meant: one of the same name after a restart is another."""
        container, status = pod.container(target.container), pod.container_status(target.container)
        if container is None or status is None or (status.container_id and status.bare_id != target.container_id):
            raise GoneError(f"pod {target.pod} has no container {target.container} of id {target.container_id[:12]}")
        return container, status

    def _await(self, target: Target, resource: str, asked: str) -> None:
        deadline = self._clock() + self._patience
        while True:
            pod = self._pod(target)
            _, status = self._container(pod, target)
            limit = status.resources.limits.get(resource)
            in_progress = pod.condition("PodResizeInProgress")
            if limit is not None and resize.quantity(resource, limit) == asked and not in_progress:
                return
            _refuse_infeasible(pod)
            if self._clock() >= deadline:
                raise ConflictError(_why_late(pod, self._patience))
            self._sleep(_POLL)


def _in_force(status: ContainerStatus, node: Node, resource: str) -> float | None:
    """A limit once set cannot be taken away in place; one of all that the node has limits nothing, and so is none."""
    limit = status.resources.limits.get(resource)
    return None if limit is None or limit >= node.status.allocatable[resource] else limit


def _refuse_infeasible(pod: Pod) -> None:
    pending = pod.condition("PodResizePending")
    if pending is not None and pending.reason == "Infeasible":
        raise RejectedError(f"the node can never give it: {pending.message}")


def _why_late(pod: Pod, patience: float) -> str:
    for kind in ("PodResizePending", "PodResizeInProgress"):
        if (found := pod.condition(kind)) is not None:
            return f"not in force after {patience:.0f} s: {found.reason or kind}: {found.message}"
    return f"not in force after {patience:.0f} s"


def _as_it_was(container: Container, resource: str, asked: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    old: dict[str, dict[str, str]] = {}
    for part in asked:
        had = getattr(container.resources, part).get(resource)
        if had is not None:
            old[part] = {resource: resize.quantity(resource, had)}
    return old
