"""What is safe to do about an order: pure functions without clock, HTTP or platform."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace

from actuator.decide import activate, migrate, quarantine, reclaim, release, relieve, reserve
from actuator.decide.guards import first_refusal
from actuator.decide.limits import Limits
from actuator.decide.situation import Situation, refuse_for_good
from actuator.decide.undo import end_throttle, restore
from actuator.model.decisions import Plan, Refusal
from actuator.model.knowledge import Allocation, Memory, Observation
from actuator.model.orders import Intent, Order
from actuator.placement import Scene

__all__ = ["Limits", "decide", "end_throttle", "restore"]

_PLANNERS: Mapping[Intent, Callable[[Situation], Plan | Refusal]] = {
    Intent.QUARANTINE: quarantine.plan,
    Intent.RELIEVE: relieve.plan,
    Intent.MIGRATE: migrate.plan,
    Intent.ACTIVATE: activate.plan,
    Intent.RESERVE: reserve.plan,
    Intent.RELEASE: release.plan,
    Intent.RECLAIM: reclaim.plan,
}


def decide(
    order: Order,
    observation: Observation,
    allocation: Allocation | None,
    memory: Memory,
    limits: Limits,
    scene: Scene | None = None,
) -> Plan | Refusal:
    """Return the steps to take or the reason to take none; ``allocation`` is None for a container that is gone.

    ``scene`` is what an order to move is decided on; None where the platform moves nothing.
    """
    if order.intent not in _PLANNERS:
        return refuse_for_good("unsupported", f"no supported platform can {order.intent}")
    if allocation is None:
        return refuse_for_good("gone", "the container does not exist any more")
    situation = Situation(order, observation, allocation, memory, limits, scene)
    if (refusal := first_refusal(situation)) is not None:
        return refusal
    answer = _PLANNERS[order.intent](situation)
    return answer if isinstance(answer, Refusal) else replace(answer, inputs={**_inputs(situation), **answer.inputs})


def _inputs(s: Situation) -> Mapping[str, object]:
    """All that led to a plan, as JSON can hold it."""
    return {
        "order": {"alert": s.order.alert, "intent": s.order.intent.value, "resource": s.order.resource},
        "observation": asdict(s.observation),
        "allocation": asdict(s.allocation),
        "memory": asdict(s.memory),
        "limits": s.limits.model_dump(),
    }
