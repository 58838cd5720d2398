"""Who may be moved at all: the first thing that forbids it counts, what can never change before what may pass."""

from collections.abc import Callable

from actuator.decide.situation import Situation, refuse, refuse_for_good
from actuator.model.decisions import Refusal
from actuator.placement import Mover

_ON_EVERY_NODE = ("DaemonSet", "Node")
_TO_COMPLETION = ("Job",)

Rule = Callable[[Situation, Mover], Refusal | None]


def forbidden(s: Situation, mover: Mover) -> Refusal | None:
    """Return why the pod may not be moved; None where it may."""
    for rule in _RULES:
        if (refusal := rule(s, mover)) is not None:
            return refusal
    return None


def _own_part(_: Situation, mover: Mover) -> Refusal | None:
    if mover.own_part:
        return refuse_for_good("own_part", "it is part of this system, of its monitoring or of the cluster's")
    return None


def _opted_out(_: Situation, mover: Mover) -> Refusal | None:
    return refuse_for_good("opted_out", "its owner opted it out") if mover.opted_out else None


def _bare(_: Situation, mover: Mover) -> Refusal | None:
    if not mover.controller:
        return refuse_for_good("bare_pod", "it has no controller that would replace it")
    return None


def _bound(_: Situation, mover: Mover) -> Refusal | None:
    if mover.controller.partition(" ")[0] in _ON_EVERY_NODE:
        return refuse_for_good("node_bound", f"{mover.controller} wants it on this very node")
    return None


def _batch(_: Situation, mover: Mover) -> Refusal | None:
    if mover.controller.partition(" ")[0] in _TO_COMPLETION:
        return refuse_for_good("batch_pod", f"{mover.controller} would lose the work that it has done")
    return None


def _volumes(_: Situation, mover: Mover) -> Refusal | None:
    if mover.local_volumes:
        names = ", ".join(mover.local_volumes)
        return refuse_for_good("local_volume", f"what is in its volumes {names} would be lost; cpp/allow-volume-loss")
    return None


def _alone(_: Situation, mover: Mover) -> Refusal | None:
    if mover.replicas <= 1 and not mover.may_be_alone:
        return refuse("single_replica", "nobody else serves meanwhile; cpp/allow-single-replica-move would permit it")
    return None


def _steered(s: Situation, mover: Mover) -> Refusal | None:
    if not mover.steered:
        where = mover.target.namespace
        return refuse("not_steered", f"namespace {where} has no label cpp/steer=enabled: it could land anywhere")
    if s.scene is not None and s.scene.unsteered:
        return refuse("steering_down", f"it could land anywhere: {s.scene.unsteered}")
    return None


def _budget(_: Situation, mover: Mover) -> Refusal | None:
    if mover.disruptions_left is not None and mover.disruptions_left <= 0:
        return refuse("disruption_budget", "its PodDisruptionBudget allows no disruption now")
    return None


def _underway(s: Situation, mover: Mover) -> Refusal | None:
    if s.scene is not None and mover.controller_uid in s.scene.underway:
        return refuse("move_underway", f"another pod of {mover.controller} is being moved")
    return None


def _rest(s: Situation, mover: Mover) -> Refusal | None:
    since = s.now - (mover.moved_at or 0.0)
    if mover.moved_at is not None and since < s.limits.move_rest:
        rest = f"{s.limits.move_rest:.0f} s of rest"
        return refuse("moved_lately", f"its workload was moved {since:.0f} s ago, within {rest}")
    return None


_RULES: tuple[Rule, ...] = (
    _own_part, _opted_out, _bare, _bound, _batch, _volumes, _alone, _steered, _budget, _underway, _rest
)  # fmt: skip
