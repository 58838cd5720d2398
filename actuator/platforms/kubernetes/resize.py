"""What a resize asks for: limits and requests in step, the pod's QoS class kept."""

from actuator.platforms.errors import DEFERRED, ConflictError, RejectedError
from actuator.platforms.kubernetes.documents import Condition, Container, ContainerStatus, Node, Pod, Resources

_LEAST = {"cpu": 0.001, "memory": 4.0 * 2**20}

Wish = dict[str, dict[str, str]]
"""Quantities by ``limits`` or ``requests``, and by resource."""


def check(pod: Pod, container: Container, resource: str) -> None:
    """Raise RejectedError where a resize could not be done in place."""
    if container.restarts_for(resource):
        raise RejectedError(f"its resizePolicy restarts {container.name} for {resource}", "would_restart")
    if pod.status.qos_class == "BestEffort":
        raise RejectedError("a limit would change the pod's QoS class, which is BestEffort", "qos_class")


def wish(pod: Pod, container: Container, owner: Resources, resource: str, value: float) -> Wish:
    """Return limits and requests of ``resource`` for a limit of ``value``, in cores or bytes.

    A request keeps the share of the limit that its owner chose, so that the scheduler goes on seeing what the pod
    needs. In a Guaranteed pod that share is one; in a Burstable one whose owner set no limit the request stays under
    it, since equality throughout would make it Guaranteed, which the API server refuses.
    """
    limit = max(value, _LEAST[resource])
    changed = {"limits": {resource: quantity(resource, limit)}}
    if resource in container.resources.requests:
        changed["requests"] = {resource: quantity(resource, _request(pod, owner, resource, limit))}
    return changed


def in_force(container: Container, status: ContainerStatus, node: Node, resource: str) -> Wish:
    """Return the wish that changes nothing; a limit once asked for can be as large as the node, but not taken away."""
    limit = status.resources.limits.get(resource)
    if limit is None and resource in container.resources.limits:
        limit = node.status.allocatable[resource]
    amounts = {"limits": limit, "requests": status.resources.requests.get(resource)}
    return {part: {resource: quantity(resource, amount)} for part, amount in amounts.items() if amount is not None}


def asked(container: Container, resource: str) -> Wish:
    """Return what is asked for, in the form of a wish."""
    parts = {"limits": container.resources.limits, "requests": container.resources.requests}
    return {part: {resource: quantity(resource, had[resource])} for part, had in parts.items() if resource in had}


def limits_nothing(limit: float | None, node: Node, resource: str) -> bool:
    """A limit once set cannot be taken away in place; one of all that the node has limits nothing, and so is none."""
    return limit is None or limit >= node.status.allocatable[resource]


def said(pod: Pod, kind: str) -> Condition | None:
    """Return a condition about what is asked for now; one about an earlier wish may still be there."""
    found = pod.condition(kind)
    outdated = found is not None and 0 < found.observed_generation < pod.metadata.generation
    return None if outdated else found


def refuse_infeasible(pod: Pod) -> None:
    """Raise RejectedError where the kubelet says that a resize can never be."""
    pending = said(pod, "PodResizePending")
    if pending is not None and pending.reason == "Infeasible":
        raise RejectedError(f"the node can never give it: {pending.message}", "infeasible")


def late(pod: Pod, patience: float) -> ConflictError:
    """Return why a resize is not in force in time."""
    for kind in ("PodResizePending", "PodResizeInProgress"):
        if (found := said(pod, kind)) is not None:
            why = f"not in force after {patience:.0f} s: {found.reason or kind}: {found.message}"
            return ConflictError(why, DEFERRED if found.reason == "Deferred" else "")
    return ConflictError(f"not in force after {patience:.0f} s")


def quantity(resource: str, amount: float) -> str:
    """Write an amount as Kubernetes has it: whole millicores, whole bytes."""
    return f"{round(amount * 1000)}m" if resource == "cpu" else str(round(amount))


def _request(pod: Pod, owner: Resources, resource: str, limit: float) -> float:
    if pod.status.qos_class == "Guaranteed":
        return limit
    request, given = owner.requests.get(resource, limit), owner.limits.get(resource)
    if given:
        return max(limit * min(request / given, 1.0), _LEAST[resource])
    return max(min(request, limit - _LEAST[resource]), _LEAST[resource])
