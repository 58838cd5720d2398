"""What a pod's owner had set, kept on the pod itself, so that it can be given back without any ledger."""

import json

from pydantic import TypeAdapter, ValidationError

from actuator.model.knowledge import OwnerLimits
from actuator.model.orders import Target
from actuator.platforms.errors import RejectedError
from actuator.platforms.kubernetes.documents import Container, Node, Pod, Resources
from actuator.platforms.kubernetes.resize import limits_nothing, quantity

NONSENSE = "bad_annotation"
ANNOTATION = "cpp/owner-resources"
_RESOURCES = ("cpu", "memory")
_FORM = TypeAdapter(dict[str, Resources])


def is_kept(pod: Pod) -> bool:
    """Tell whether this system has changed the pod: its limits then outlive restarts of its containers."""
    return ANNOTATION in pod.metadata.annotations


def text_of(pod: Pod) -> str:
    """Return requests and limits as they are asked for now, as the annotation has them."""
    return json.dumps({container.name: _amounts(container.resources) for container in pod.spec.containers})


def kept(pod: Pod) -> dict[str, Resources]:
    """Return what the owner had set, by container; as it is asked for now where nothing was changed.

    Raises RejectedError where the annotation makes no sense.
    """
    if not is_kept(pod):
        return {container.name: container.resources for container in pod.spec.containers}
    try:
        found = _FORM.validate_json(pod.metadata.annotations[ANNOTATION])
        return {container.name: found[container.name] for container in pod.spec.containers}
    except (ValidationError, KeyError) as error:
        raise RejectedError(f"annotation {ANNOTATION} makes no sense; mend it or take it away", NONSENSE) from error


def limits_of(pod: Pod, node: Node, target: Target) -> OwnerLimits | None:
    """Return the owner's limits of a container; None where this system has not changed its pod."""
    if not is_kept(pod):
        return None
    limits = kept(pod)[target.container].limits
    given = {name: None if limits_nothing(limits.get(name), node, name) else limits.get(name) for name in _RESOURCES}
    return OwnerLimits(target, given["cpu"], given["memory"])


def is_back(pod: Pod, node: Node) -> bool:
    """Tell whether every container of the pod is asked for as its owner had it, as far as a resize can do that."""
    owners = kept(pod)
    return all(
        _same(container, owners[container.name], node, resource)
        for container in pod.spec.containers
        for resource in _RESOURCES
    )


def _same(container: Container, owner: Resources, node: Node, resource: str) -> bool:
    now, given = container.resources.limits.get(resource), owner.limits.get(resource)
    if now is None or given is None:
        return limits_nothing(now, node, resource)
    return quantity(resource, now) == quantity(resource, given)


def _amounts(resources: Resources) -> dict[str, dict[str, str]]:
    parts = {"requests": resources.requests, "limits": resources.limits}
    return {
        part: {name: quantity(name, amounts[name]) for name in _RESOURCES if name in amounts}
        for part, amounts in parts.items()
    }
