"""A pod as one that may be moved: what its owner, its siblings and its budgets say."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from statistics import median

from actuator.model.orders import Target
from actuator.placement import MOVED_AT, Mover
from actuator.platforms.kubernetes.budgets import Budget
from actuator.platforms.kubernetes.consent import belongs_to, opted_out, own_part
from actuator.platforms.kubernetes.documents import Metadata, Pod

ALLOW_ALONE = "cpp/allow-single-replica-move"
ALLOW_LOSS = "cpp/allow-volume-loss"
STEER = "cpp/steer"


def mover_of(
    target: Target, pod: Pod, siblings: Sequence[Pod], budgets: Iterable[Budget], namespace: Metadata, home: str
) -> Mover:
    """Return the pod of ``target``; ``siblings`` are its controller's pods, ``home`` is this system's namespace."""
    controller = pod.metadata.controller
    uid = controller.uid if controller else ""
    return Mover(
        target=target,
        uid=pod.metadata.uid,
        controller=f"{controller.kind} {controller.name}" if controller else "",
        controller_uid=uid,
        requests={resource: pod.request(resource) for resource in ("cpu", "memory")},
        forecast={},
        start_up=_start_up(siblings),
        replicas=sum(each.ready for each in siblings),
        newest_made_at=max(each.metadata.made_at for each in siblings),
        disruptions_left=_disruptions_left(pod, budgets),
        throttleable=_throttleable(pod, target),
        moved_at=max(filter(None, map(_moved_at, siblings)), default=None),
        local_volumes=_local_volumes(pod),
        may_be_alone=pod.metadata.annotations.get(ALLOW_ALONE) == "true",
        opted_out=opted_out(pod, namespace),
        own_part=bool(belongs_to(pod)) or any(own_part(pod, each, home) for each in pod.spec.containers),
        steered=namespace.labels.get(STEER) == "enabled",
    )


def _start_up(siblings: Iterable[Pod]) -> float | None:
    """The median of start to Ready; a pod that was restarted is Ready since then, and tells nothing."""
    took = []
    for pod in siblings:
        ready, started = pod.condition("Ready"), pod.status.start_time
        restarted = any(each.restart_count for each in pod.status.container_statuses)
        if ready is not None and ready.last_transition_time is not None and started is not None and not restarted:
            took.append(max((ready.last_transition_time - started).total_seconds(), 0.0))
    return median(took) if took else None


def _disruptions_left(pod: Pod, budgets: Iterable[Budget]) -> int | None:
    """The eviction of a pod under more than one budget is an error, so none is left there."""
    own = [budget for budget in budgets if budget.covers(pod)]
    if not own:
        return None
    return own[0].status.disruptions_allowed if len(own) == 1 else 0


def _throttleable(pod: Pod, target: Target) -> bool:
    container = pod.container(target.container)
    return container is not None and pod.status.qos_class != "BestEffort" and not container.restarts_for("cpu")


def _moved_at(pod: Pod) -> float | None:
    """What the webhook wrote on a replacement; a text that is no number, or no time yet to come, is nobody's mark."""
    with suppress(ValueError):
        return float(pod.metadata.annotations.get(MOVED_AT, ""))
    return None


def _local_volumes(pod: Pod) -> tuple[str, ...]:
    allowed = {name.strip() for name in pod.metadata.annotations.get(ALLOW_LOSS, "").split(",")}
    return tuple(sorted(volume.name for volume in pod.spec.volumes if volume.local and volume.name not in allowed))
