"""Migrate: move the pod that suffers, or one that makes it suffer, whichever is worth more, to a node with room."""

from dataclasses import asdict

from actuator.decide.costs import Bounds, Worth, preemptive, reactive, weigh
from actuator.decide.movable import forbidden
from actuator.decide.relieve import DONE_BY_CPU
from actuator.decide.situation import Situation, refuse, refuse_for_good
from actuator.decide.targets import nearest, obstacle, wanted_tier
from actuator.model.decisions import Plan, Refusal, Step
from actuator.model.orders import Order
from actuator.placement import Mover, Place, Scene

_AHEAD = "CppMigrateAhead"


def plan(s: Situation) -> Plan | Refusal:
    """Choose pod and target together, and plan the move."""
    if s.scene is None:
        return refuse_for_good("unsupported", f"no supported platform here can {s.order.intent}")
    if (refusal := _relief_pending(s, s.scene)) is not None:
        return refusal
    bounds = preemptive(s.limits) if ahead(s.order) else reactive(s.limits)
    return best_move(s, s.scene, bounds, quarantine=False)


def ahead(order: Order) -> bool:
    """Tell whether the order asks to move before trouble that is only forecast."""
    return order.alert.startswith(_AHEAD)


def best_move(s: Situation, scene: Scene, bounds: Bounds, quarantine: bool) -> Plan | Refusal:
    """Return the plan of the move that is worth most, where that is enough."""
    source = scene.place(s.order.target.node)
    if scene.problem or source is None or not scene.movers:
        return refuse("node_unknown", scene.problem or f"the cluster has no such pod on {s.order.target.node}")
    if (refusal := _unsettled(s, scene)) is not None:
        return refusal
    refusals = [(mover, forbidden(s, mover)) for mover in scene.movers]
    movers = [mover for mover, refusal in refusals if refusal is None]
    if not movers:
        return _nobody([(mover, refusal) for mover, refusal in refusals if refusal is not None])
    tier = wanted_tier(source, quarantine)
    pairs = [(mover, place) for mover in movers for place in scene.places]
    open_pairs = [(m, p) for m, p in pairs if not obstacle(m, source, p, tier, bounds)]
    if not open_pairs:
        return _nowhere(scene, movers[0], source, tier, bounds)
    best = max((weigh(m, source, p, bounds, s.limits) for m, p in open_pairs), key=lambda worth: worth.rank)
    return _move(s, best, source) if best.benefit > bounds.margin * best.cost else _not_worth(best, bounds)


def _unsettled(s: Situation, scene: Scene) -> Refusal | None:
    """One move at a time from a node, and the next only on forecasts that know of it."""
    node = s.order.target.node
    if node in scene.underway:
        return refuse("move_underway", f"another move from or to {node} is underway")
    last = max((move.at for move in scene.moves if node in (move.source, move.node)), default=None)
    if last is not None and s.now - last < s.limits.move_settle:
        passed = f"{s.now - last:.0f} s ago; forecasts know of it after {s.limits.move_settle:.0f} s"
        return refuse("effect_pending", f"a pod was moved from or to {node} {passed}")
    return None


def _relief_pending(s: Situation, scene: Scene) -> Refusal | None:
    """Relief on the spot comes first: it costs nobody a restart."""
    for culprit in scene.movers:
        if culprit.caused <= 0 or not culprit.throttleable or s.order.resource not in DONE_BY_CPU:
            continue
        waited = s.now - s.order.opened_at
        if culprit.throttled_since is None and waited < s.limits.move_relief:
            limit = f"waited {waited:.0f} s of {s.limits.move_relief:.0f} s"
            return refuse("relief_first", f"{_name(culprit)} could be throttled where it is; {limit}")
        since = s.now - (culprit.throttled_since or 0.0)
        if since < s.limits.throttle_patience:
            return refuse("effect_pending", f"{_name(culprit)} was throttled {since:.0f} s ago; that has to show")
    return None


def _nobody(refusals: list[tuple[Mover, Refusal]]) -> Refusal:
    """Nobody may be moved: the reason that may pass speaks for all, so that the order stays open for it."""
    spokesman = next((refusal for _, refusal in refusals if refusal.retryable), refusals[0][1])
    detail = "; ".join(f"{_name(mover)}: {refusal.detail}" for mover, refusal in refusals)
    return Refusal(spokesman.reason, detail, spokesman.retryable)


def _nowhere(scene: Scene, mover: Mover, source: Place, tier: str, bounds: Bounds) -> Refusal:
    others = [place for place in scene.places if place.node != source.node]
    right = [place for place in others if place.tier == tier]
    best = nearest(mover, right or others)
    if best is None:
        return refuse("no_target", f"of no other node the use is forecast, or there is none beside {source.node}")
    why = obstacle(mover, source, best, tier, bounds)
    return refuse("no_target", f"no node for {_name(mover)}; the roomiest by forecast is {best.node}: {why}")


def _not_worth(best: Worth, bounds: Bounds) -> Refusal:
    return refuse("not_worth", f"{_say(best)}; a move asks for {bounds.margin:g} times its cost")


def _move(s: Situation, best: Worth, source: Place) -> Plan:
    mover, node, until = best.mover, best.place.node, s.now + s.limits.move_patience
    steps = (
        Step("place", "", None, None, node=node, uid=mover.uid),
        Step("steer", "", None, None, expires_at=until, node=node, uid=mover.controller_uid),
        Step("evict", "", None, None, node=node, uid=mover.uid),
        Step("land", "", None, None, until, mover.newest_made_at, node=node, uid=mover.controller_uid),
        Step("clear", "", None, None, node=node, uid=mover.uid),
    )
    worth = {"benefit": best.benefit, "cost": best.cost, "from": source.node, **asdict(best)}
    return Plan(steps, f"from {source.node}: {_say(best)}", {"worth": worth}, mover.target)


def _say(worth: Worth) -> str:
    won = f"interference {worth.interference:.0f}, risk {worth.risk:.0f}, headroom {worth.headroom:.0f}"
    paid = f"start-up {worth.downtime:.0f}, warming up {worth.warm_up:.0f}"
    move = f"{_name(worth.mover)} to {worth.place.node}"
    return f"{move} wins {worth.benefit:.0f} s of service ({won}) for {worth.cost:.0f} s ({paid})"


def _name(mover: Mover) -> str:
    return f"{mover.target.namespace}/{mover.target.pod}"
