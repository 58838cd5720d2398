"""Limits of containers in pods: asked for through ``pods/resize``, in force when the kubelet says so."""

import time
from collections.abc import Callable

import structlog

from actuator.model.decisions import Notice
from actuator.model.knowledge import Allocation, KernelValue, OwnerLimits
from actuator.model.orders import Target
from actuator.platforms.errors import (
    DEFERRED,
    ConflictError,
    GoneError,
    PlatformError,
    RejectedError,
    StoppedError,
    UnavailableError,
    UnsettledError,
)
from actuator.platforms.kubernetes import consent, owner, resize
from actuator.platforms.kubernetes.api import Api
from actuator.platforms.kubernetes.documents import Container, ContainerStatus, Node, Pod
from actuator.platforms.kubernetes.events import event
from actuator.platforms.kubernetes.placeholder import RESERVATION, for_reservation, reservation_name, reserved_for
from actuator.platforms.kubernetes.placeholders import OwnRoom, Placeholders, holds_room
from actuator.platforms.kubernetes.surroundings import Surroundings, UnknownNodeError
from actuator.platforms.settings import KubernetesConfig

_POLL = 0.25
_LONGEST_POLL = 2.0
_log = structlog.get_logger(__name__)


class KubernetesPlatform:
    """One cluster. ``clock`` and ``sleep`` are those of a monotonic time, in seconds."""

    name = "kubernetes"

    def __init__(
        self,
        api: Api,
        settings: KubernetesConfig,
        memory_in_use: Callable[[Target], float | None],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """``memory_in_use`` returns a container's working set of late in bytes; None where it is not known."""
        self._api, self._settings, self._memory_in_use = api, settings, memory_in_use
        self._clock, self._sleep = clock, sleep
        self._around = Surroundings(api, clock)
        self._placeholders = Placeholders(api, settings, clock, sleep)

    def inspect(self, target: Target) -> Allocation | None:
        """Return what the container has now, limits as the kubelet says they are. Raises PlatformError."""
        try:
            pod = self._pod(target)
            container, status = self._container(pod, target)
        except GoneError:
            return None
        node, namespace = self._around.node(pod), self._around.namespace(pod)
        bad, running = consent.nonsense(pod, namespace), status.state.running
        return Allocation(
            cpu_limit=_limit(status, node, "cpu"),
            memory_limit=_limit(status, node, "memory"),
            memory_usage=self._memory_in_use(target) or 0.0,
            host_cpu=node.status.allocatable["cpu"],
            host_memory=node.status.allocatable["memory"],
            running=running is not None and pod.metadata.deletion_timestamp is None,
            opted_out=consent.opted_out(pod, namespace),
            managed_by=consent.belongs_to(pod),
            own_part=consent.own_part(pod, container, self._settings.namespace),
            started_at=running.started_at.timestamp() if running and running.started_at else 0.0,
            managed=self._around.rivals(pod, container.name),
            bad_annotation=bad,
            owner=None if bad else owner.limits_of(pod, node, _target(pod, status)),
        )

    def set_limit(self, target: Target, resource: str, value: float | None) -> None:
        """Set the limit of ``cpu`` (cores) or ``memory`` (bytes), and its request in step. Raises PlatformError.

        None stands for all that the node has. Returns when the new limit is in force; one that is not in time, or
        cannot be, is taken back. What the owner had set is written on the pod before its first change.
        """
        pod = self._pod(target)
        container, status = self._container(pod, target)
        resize.check(pod, container, resource)
        if value is None:
            value = self._around.node(pod).status.allocatable[resource]
        self._spare_memory_in_use(target, status, resource, value)
        asked = resize.wish(pod, container, owner.kept(pod)[container.name], resource, value)
        if not owner.is_kept(pod):
            self._api.annotate(pod, owner.ANNOTATION, owner.text_of(pod))
        own_room = OwnRoom(self._placeholders, target, resource)
        try:
            self._api.resize(pod, container.name, asked)
            self._await(target, resource, asked["limits"][resource], own_room)
        except PlatformError as error:
            self._take_back(target, resource, error)
            own_room.hold_again()
            raise

    def withdraw(self, target: Target, resource: str) -> None:
        """Ask for what is in force, where something else was asked for. Raises PlatformError."""
        pod = self._pod(target)
        container, status = self._container(pod, target)
        kept = resize.in_force(container, status, self._around.node(pod), resource)
        if kept != resize.asked(container, resource):
            self._api.resize(pod, container.name, kept)

    def _take_back(self, target: Target, resource: str, why: PlatformError) -> None:
        try:
            self.withdraw(target, resource)
        except GoneError:
            return
        except PlatformError as error:
            raise UnsettledError(f"{why}; nor could it be taken back: {error}") from why

    def hold(self, target: Target, resource: str, amount: float) -> None:
        """Hold cores or bytes of the container's node by a placeholder. Raises PlatformError."""
        self._placeholders.put(for_reservation(target, resource, amount))

    def let_go(self, target: Target, resource: str) -> None:
        """Remove the placeholder at once, if there is one. Raises PlatformError."""
        self._placeholders.remove(reservation_name(target, resource))

    def holding(self) -> dict[tuple[Target, str], bool]:
        """Return for whom there is a placeholder, and whether it holds its room. Raises PlatformError."""
        found = ((reserved_for(pod), holds_room(pod)) for pod in self._placeholders.all(RESERVATION))
        return {whom: room for whom, room in found if whom is not None}

    def kernel_value(self, target: Target, resource: str) -> KernelValue:
        """Return the limit in force, as the runtime told the kubelet. Raises PlatformError."""
        pod = self._pod(target)
        _, status = self._container(pod, target)
        if status.state.running is None:
            raise StoppedError(f"container {target.container} of pod {target.pod} does not run")
        said = status.resources.limits.get(resource)
        where = f"pod {target.namespace}/{target.pod} status {target.container} resources.limits.{resource}"
        limit = _limit(status, self._around.node(pod), resource)
        return KernelValue(where, "none" if said is None else resize.quantity(resource, said), limit)

    def remembered(self) -> list[OwnerLimits]:
        """Return what owners had set, of every container in a pod that says so. Raises PlatformError."""
        found = []
        for pod in self._api.pods():
            try:
                targets = [_target(pod, status) for status in pod.status.container_statuses if owner.is_kept(pod)]
                found += [owner.limits_of(pod, self._around.node(pod), target) for target in targets]
            except (RejectedError, UnknownNodeError) as error:
                _log.warning("not restored", pod=pod.metadata.name, error=str(error))
        return [limits for limits in found if limits is not None]

    def forget(self, target: Target) -> None:
        """Take what the owner had set off the pod, once all of its containers have it again. Raises PlatformError."""
        pod = self._pod(target)
        if owner.is_kept(pod) and owner.is_back(pod, self._around.node(pod)):
            self._api.annotate(pod, owner.ANNOTATION, None)

    def tell(self, target: Target, notice: Notice) -> None:
        """Record an Event on the pod; one that cannot be recorded is no reason to stop."""
        try:
            self._api.tell(target.namespace, event(self._pod(target), target.container, notice))
        except GoneError:
            return
        except PlatformError as error:
            _log.warning("event not recorded", pod=target.pod, error=str(error))

    def _pod(self, target: Target) -> Pod:
        return self._api.pod(target.namespace, target.pod)

    def _container(self, pod: Pod, target: Target) -> tuple[Container, ContainerStatus]:
        """Return the container that is meant.

        A restart gives it another id. Its limits belong to the pod and outlive that: where this system has changed the
        pod it is still the one; elsewhere the one that is meant has gone. A new pod of the same name was never changed.
        """
        container, status = pod.container(target.container), pod.container_status(target.container)
        known = status is not None and (not status.container_id or status.bare_id == target.container_id)
        if container is None or status is None or not (known or owner.is_kept(pod)):
            raise GoneError(f"pod {target.pod} has no container {target.container} of id {target.container_id[:12]}")
        return container, status

    def _spare_memory_in_use(self, target: Target, status: ContainerStatus, resource: str, size: float) -> None:
        """Under cgroup v2 the kernel kills to get under a new limit. The kubelet looks too, from 1.34 on."""
        limit = status.resources.limits.get(resource)
        if resource != "memory" or (limit is not None and size >= limit):
            return
        usage = self._memory_in_use(target)
        if usage is None:
            raise ConflictError("how much memory is in use is not known, so the limit stays")
        if size < usage:
            raise RejectedError(f"{size:.0f} bytes of memory would be less than the {usage:.0f} in use")

    def _await(self, target: Target, resource: str, asked: str, own_room: OwnRoom) -> None:
        """Wait until the limit is in force, also through a time in which the API server does not answer."""
        began = self._clock()
        deadline = began + self._settings.resize_patience
        while True:
            late: PlatformError
            try:
                pod = self._pod(target)
                if self._is_in_force(pod, target, resource, asked):
                    return
                resize.refuse_infeasible(pod)
                late = resize.late(pod, self._settings.resize_patience)
                if late.code == DEFERRED:
                    own_room.free()
            except UnavailableError as error:
                late = error
            now = self._clock()
            if now >= deadline:
                raise late
            self._sleep(min(max(_POLL, (now - began) / 4), _LONGEST_POLL, deadline - now))

    def _is_in_force(self, pod: Pod, target: Target, resource: str, asked: str) -> bool:
        _, status = self._container(pod, target)
        limit = status.resources.limits.get(resource)
        in_progress = resize.said(pod, "PodResizeInProgress")
        return limit is not None and resize.quantity(resource, limit) == asked and not in_progress


def _limit(status: ContainerStatus, node: Node, resource: str) -> float | None:
    limit = status.resources.limits.get(resource)
    return None if resize.limits_nothing(limit, node, resource) else limit


def _target(pod: Pod, status: ContainerStatus) -> Target:
    return Target(pod.spec.node_name, pod.metadata.namespace, pod.metadata.name, status.name, status.bare_id)
