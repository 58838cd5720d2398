"""Placeholders are made through the stock scheduler, and hold room from when it has placed them."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from actuator.model.orders import Target
from actuator.platforms.errors import DEFERRED, ConflictError, GoneError, PlatformError, RejectedError
from actuator.platforms.kubernetes.api import Api
from actuator.platforms.kubernetes.documents import Pod
from actuator.platforms.kubernetes.placeholder import (
    PRIORITY_CLASS,
    PURPOSE,
    Placeholder,
    for_reservation,
    manifest,
    reservation_name,
    rounded,
)
from actuator.platforms.settings import KubernetesConfig

NOT_INSTALLED = "not_installed"
"""The code of a cluster that lacks what placeholders need."""
_POLL = 0.1


class Placeholders:
    """All placeholders of one cluster. ``clock`` and ``sleep`` are those of a monotonic time, in seconds."""

    def __init__(
        self,
        api: Api,
        settings: KubernetesConfig,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._api, self._settings, self._clock, self._sleep = api, settings, clock, sleep

    def put(self, wanted: Placeholder) -> None:
        """Hold room; where the scheduler finds none in time, nothing is left behind and ConflictError says why."""
        try:
            if self._create(wanted):
                self._await_place(wanted)
        except PlatformError as error:
            with suppress(PlatformError):
                self.remove(wanted.name)
            if isinstance(error, GoneError):
                raise ConflictError(f"another pod took the room on node {wanted.node}", DEFERRED) from error
            raise

    def remove(self, name: str) -> None:
        """Free the room at once; nothing happens where there is no such placeholder. Raises PlatformError."""
        self._api.delete(self._settings.namespace, name)

    def held(self, name: str) -> Mapping[str, float]:
        """Return what a placeholder holds, in cores and bytes; nothing where there is none."""
        try:
            pod = self._api.pod(self._settings.namespace, name)
        except GoneError:
            return {}
        return pod.spec.containers[0].resources.requests if holds_room(pod) else {}

    def all(self, purpose: str) -> list[Pod]:
        """Return the placeholders for ``purpose``, also those that hold nothing any more."""
        return self._api.labelled(self._settings.namespace, f"{PURPOSE}={purpose}")

    def _create(self, wanted: Placeholder) -> bool:
        """Return whether it is still to be placed."""
        try:
            priority = self._make(wanted)
        except ConflictError:  # one of this name is there
            if rounded(self.held(wanted.name)) == rounded(wanted.requests):
                return False
            self.remove(wanted.name)
            priority = self._make(wanted)
        if priority is not None and priority >= 0:
            why = f"the PriorityClass {PRIORITY_CLASS} gives {priority}, which is not under 0"
            raise RejectedError(why, NOT_INSTALLED)
        return True

    def _make(self, wanted: Placeholder) -> int | None:
        """Return the priority that it got."""
        document = manifest(wanted, self._settings.placeholder_image)
        try:
            return self._api.create(self._settings.namespace, document).spec.priority
        except (RejectedError, GoneError) as error:
            raise RejectedError(_why_not_made(str(error)), NOT_INSTALLED) from error

    def _await_place(self, wanted: Placeholder) -> None:
        """Ask at once and ever less often: a scheduler that has room says so in milliseconds."""
        began = self._clock()
        while True:
            pod = self._api.pod(self._settings.namespace, wanted.name)
            if holds_room(pod):
                return
            waited = self._clock() - began
            if waited >= self._settings.placeholder_patience:
                raise ConflictError(f"node {wanted.node} has no room for {_said(wanted)}: {_why_not(pod)}", DEFERRED)
            self._sleep(max(_POLL, waited / 2))


class OwnRoom:
    """What is held for a container, and must not keep the container itself from growing."""

    def __init__(self, placeholders: Placeholders, target: Target, resource: str) -> None:
        self._placeholders, self._target, self._resource = placeholders, target, resource
        self._name, self._removed = reservation_name(target, resource), False
        self._freed: Mapping[str, float] | None = None

    def free(self) -> None:
        """Remove the placeholder, once: the kubelet then tries at once what it had put off. Raises PlatformError."""
        if self._freed is None:
            self._freed = self._placeholders.held(self._name)
        if self._freed and not self._removed:
            self._placeholders.remove(self._name)
            self._removed = True

    def hold_again(self) -> None:
        """Put back what was freed; where another pod has the room by now, the reservation is found to be lost later."""
        if self._freed:
            with suppress(PlatformError):
                self._placeholders.put(for_reservation(self._target, self._resource, self._freed[self._resource]))


def holds_room(pod: Pod) -> bool:
    """Tell whether the node counts the placeholder's requests."""
    over = pod.status.phase in ("Failed", "Succeeded") or pod.metadata.deletion_timestamp is not None
    return bool(pod.spec.node_name) and not over


def _said(wanted: Placeholder) -> str:
    return " and ".join(f"{amount} {resource}" for resource, amount in rounded(wanted.requests).items())


def _why_not(pod: Pod) -> str:
    said = (each.message for each in pod.status.conditions if each.type == "PodScheduled")
    return next(said, "the scheduler has not looked at it")


def _why_not_made(said: str) -> str:
    missing = f"the PriorityClass {PRIORITY_CLASS} is missing: install it with the rest of this system"
    return missing if "no PriorityClass with name" in said else f"no placeholder can be made: {said}"
