"""What a resize asks for: limits and requests in step, the pod's QoS class kept."""

from actuator.platforms.errors import RejectedError
from actuator.platforms.kubernetes.documents import Container, Pod

_LEAST = {"cpu": 0.001, "memory": 4.0 * 2**20}


def check(pod: Pod, container: Container, resource: str) -> None:
    """Raise RejectedError where a resize could not be done in place."""
    if container.restarts_for(resource):
        raise RejectedError(f"its resizePolicy restarts {container.name} for {resource}")
    if pod.status.qos_class == "BestEffort":
        raise RejectedError("a limit would change the pod's QoS class, which is BestEffort")


def wish(pod: Pod, container: Container, resource: str, value: float) -> dict[str, dict[str, str]]:
    """Return limits and requests of ``resource`` for a limit of ``value``, in cores or bytes.

    A request keeps its share of the limit, so that the scheduler goes on seeing what the pod needs. In a Guaranteed pod
    that share is one; in a Burstable one a request stays under the limit, since equality throughout would
    make it Guaranteed, which the API server refuses.
    """
    limit = max(value, _LEAST[resource])
    changed = {"limits": {resource: quantity(resource, limit)}}
    request, old = container.resources.requests.get(resource), container.resources.limits.get(resource)
    if request is not None and old:
        changed["requests"] = {resource: quantity(resource, _scaled(pod, request / old, limit, resource))}
    return changed


def quantity(resource: str, amount: float) -> str:
    """Write an amount as Kubernetes has it: whole millicores, whole bytes."""
    return f"{round(amount * 1000)}m" if resource == "cpu" else str(round(amount))


def _scaled(pod: Pod, share: float, limit: float, resource: str) -> float:
    if pod.status.qos_class == "Guaranteed":
        return limit
    request = limit * min(share, 1.0)
    return max(request, _LEAST[resource])
