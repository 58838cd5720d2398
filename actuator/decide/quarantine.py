"""Quarantine: move a risky pod to the nodes that are set apart for such; where there are none, the alert is all."""

from actuator.decide.costs import containing
from actuator.decide.migrate import best_move
from actuator.decide.situation import Situation, refuse, refuse_for_good
from actuator.model.decisions import Plan, Refusal
from actuator.placement import ISOLATED


def plan(s: Situation) -> Plan | Refusal:
    """Move the pod to a node of tier ``isolated``."""
    if s.scene is None:
        return refuse_for_good("unsupported", f"no supported platform here can {s.order.intent}")
    source = s.scene.place(s.order.target.node)
    if source is not None and source.tier == ISOLATED:
        return refuse_for_good("already_isolated", f"{source.node} is a node of tier {ISOLATED} already")
    if not s.scene.problem and not any(place.tier == ISOLATED for place in s.scene.places):
        label = f"cpp/security-tier={ISOLATED}"
        return refuse("no_isolated_node", f"no node has the label {label}; a person has to look at the alert")
    return best_move(s, s.scene, containing(s.limits), quarantine=True)
