from dataclasses import replace
from typing import Any

import pytest

from actuator.decide import Limits, decide
from actuator.decide.costs import reactive, weigh
from actuator.model.decisions import Plan, Refusal
from actuator.model.knowledge import Allocation, Memory, Observation, Throttle
from actuator.model.orders import Intent, Order, OrderState, Target
from actuator.placement import ISOLATED, Move, Mover, Place, Room, Scene

NOW = 1_000_000.0
GIB = 2.0**30
LIMITS = Limits()


def target(pod: str, node: str = "n1") -> Target:
    return Target(node, "shop", pod, "main", pod.ljust(64, "0"))


def mover(pod: str, **more: Any) -> Mover:
    facts = {
        "uid": f"uid-{pod}",
        "controller": f"ReplicaSet {pod}",
        "controller_uid": f"set-{pod}",
        "requests": {"cpu": 0.5, "memory": GIB},
        "forecast": {"cpu": 0.5, "memory": GIB},
        "start_up": 10.0,
        "replicas": 2,
        "newest_made_at": NOW - 3600,
    }
    return Mover(target(pod), **(facts | more))


def place(
    node: str, forecast: float | None, tier: str = "", unrequested: float = 2.0, memory: float = 2 * GIB
) -> Place:
    rooms = {"cpu": Room(4.0, unrequested, 0.0, forecast), "memory": Room(16 * GIB, 8 * GIB, 0.0, memory)}
    return Place(node, rooms, tier)


class Case:
    """A victim on a crowded node, its culprit beside it, and two nodes with room; a test changes what it is about."""

    def __init__(self, intent: Intent = Intent.MIGRATE, alert: str = "CppMigrate") -> None:
        self.order = Order(
            1, target("victim"), "cpu", intent, alert, "warning", "", OrderState.OPEN, NOW - 900, NOW - 5
        )
        self.places = [place("n1", 3.0), place("n2", 2.0), place("n3", 0.4)]
        self.movers = [mover("victim", suffered=0.4), mover("culprit", caused=0.4, throttleable=False)]
        self.moves: tuple[Move, ...] = ()
        self.underway: frozenset[str] = frozenset()
        self.problem = self.unsteered = ""
        self.allocation = Allocation(1.0, GIB, 0.0, 4.0, 16 * GIB, started_at=NOW - 3600)
        self.memory = Memory()

    def alone(self, **changes: Any) -> "Case":
        """Only the order's own pod may be moved."""
        self.movers = [replace(self.movers[0], **changes)]
        return self

    def culprit(self, **changes: Any) -> "Case":
        self.movers[1] = replace(self.movers[1], **changes)
        return self

    def victim(self, **changes: Any) -> "Case":
        self.movers[0] = replace(self.movers[0], **changes)
        return self

    def at(self, *places: Place) -> "Case":
        self.places = list(places)
        return self

    def answer(self) -> Plan | Refusal:
        seen = Observation(at=NOW, firing=True, sample_age=5.0, usage=0.5)
        scene = Scene(tuple(self.places), tuple(self.movers), self.moves, self.underway, self.unsteered, self.problem)
        return decide(self.order, seen, self.allocation, self.memory, LIMITS, scene)

    def plan(self) -> Plan:
        answer = self.answer()
        assert isinstance(answer, Plan), answer
        return answer

    def refusal(self) -> Refusal:
        answer = self.answer()
        assert isinstance(answer, Refusal), answer.reason
        return answer


def went(plan: Plan) -> tuple[str, str]:
    assert plan.target is not None
    return plan.target.pod, plan.steps[0].node


def test_a_move_is_held_room_a_steered_replacement_an_eviction_a_landing_and_an_end() -> None:
    plan = Case().alone().plan()
    assert [step.kind for step in plan.steps] == ["place", "steer", "evict", "land", "clear"]
    assert {step.node for step in plan.steps} == {"n3"}
    by_kind = {step.kind: step for step in plan.steps}
    assert by_kind["evict"].uid == by_kind["place"].uid == by_kind["clear"].uid == "uid-victim"
    assert by_kind["steer"].uid == by_kind["land"].uid == "set-victim"
    assert by_kind["land"].expires_at == by_kind["steer"].expires_at == NOW + LIMITS.move_patience
    assert by_kind["land"].due_at == NOW - 3600


def test_the_cheaper_of_culprit_and_victim_goes_where_most_room_is_forecast() -> None:
    assert went(Case().victim(warm_bytes=50 * GIB).plan()) == ("culprit", "n3")
    assert went(Case().culprit(warm_bytes=50 * GIB).plan()) == ("victim", "n3")


def test_the_plan_tells_benefit_and_cost() -> None:
    plan = Case().alone().plan()
    worth = plan.inputs["worth"]
    assert isinstance(worth, dict)
    assert worth["benefit"] > LIMITS.move_margin * worth["cost"] > 0
    assert f"wins {worth['benefit']:.0f} s of service" in plan.reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"controller": ""}, "bare_pod"),
        ({"controller": "DaemonSet logs"}, "node_bound"),
        ({"controller": "Node n1"}, "node_bound"),
        ({"controller": "Job count"}, "batch_pod"),
        ({"local_volumes": ("scratch",)}, "local_volume"),
        ({"replicas": 1}, "single_replica"),
        ({"steered": False}, "not_steered"),
        ({"disruptions_left": 0}, "disruption_budget"),
        ({"moved_at": NOW - LIMITS.move_rest + 1}, "moved_lately"),
        ({"own_part": True}, "own_part"),
        ({"opted_out": True}, "opted_out"),
        ({"warm_bytes": 500 * GIB}, "not_worth"),
        ({"suffered": 0.0}, "not_worth"),
        ({"forecast": {"cpu": 3.3, "memory": GIB}}, "no_target"),
        ({"requests": {"cpu": 2.5, "memory": GIB}}, "no_target"),
        ({"barriers": {"n2": "it is cordoned", "n3": "it is not Ready"}}, "no_target"),
    ],
)
def test_a_pod_that_must_not_move_is_refused_with_the_reason(changes: dict[str, Any], reason: str) -> None:
    assert Case().alone().answer() == Case().alone().plan()
    assert Case().alone(**changes).refusal().reason == reason


def test_where_no_replacement_would_be_steered_nothing_is_evicted_and_the_remedy_is_told() -> None:
    case = Case().alone()
    case.unsteered = "the certificate ended; renew it"
    refusal = case.refusal()
    assert (refusal.reason, refusal.retryable) == ("steering_down", True)
    assert "land anywhere: the certificate ended; renew it" in refusal.detail


@pytest.mark.parametrize(
    "changes",
    [
        {"replicas": 1, "may_be_alone": True},
        {"disruptions_left": 1},
        {"moved_at": NOW - LIMITS.move_rest - 1},
        {"start_up": None},
        {"barriers": {"n2": "it is cordoned"}},
    ],
)
def test_what_is_permitted_or_long_ago_does_not_stand_in_the_way(changes: dict[str, Any]) -> None:
    assert went(Case().alone(**changes).plan()) == ("victim", "n3")


def test_where_one_may_not_move_the_other_does() -> None:
    assert went(Case().victim(controller="").plan()) == ("culprit", "n3")
    both = Case().victim(controller="").culprit(replicas=1).refusal()
    assert (both.reason, both.retryable) == ("single_replica", True)
    assert "shop/victim: " in both.detail
    assert "shop/culprit: " in both.detail


def test_without_a_target_the_roomiest_node_is_named_with_what_stands_in_its_way() -> None:
    refusal = Case().alone().at(place("n1", 3.0), place("n2", 3.3), place("n3", 3.2)).refusal()
    assert refusal.reason == "no_target"
    assert "n3: 3.7 cores forecast with the pod on it, 3.4 cores usable" in refusal.detail
    assert "no other node" in Case().alone().at(place("n1", 3.0), place("n2", None)).refusal().detail


def test_what_is_held_on_a_target_counts_as_used() -> None:
    full = Place("n3", {"cpu": Room(4.0, 2.0, 2.8, 0.4), "memory": Room(16 * GIB, 8 * GIB, 0.0, GIB)})
    assert Case().alone().at(place("n1", 3.0), full).refusal().reason == "no_target"


def test_room_by_forecast_counts_and_not_what_the_scheduler_would_like_best() -> None:
    idle_now = place("n2", 3.3, unrequested=4.0)
    assert went(Case().alone().at(place("n1", 3.0), idle_now, place("n3", 0.4, unrequested=0.5)).plan())[1] == "n3"


def test_a_pod_stays_in_its_tier_and_only_a_risky_one_goes_to_the_isolated_nodes() -> None:
    isolated = place("n3", 0.4, ISOLATED)
    assert went(Case().alone().at(place("n1", 3.0), place("n2", 2.0), isolated).plan())[1] == "n2"
    assert Case().alone().at(place("n1", 3.0), isolated).refusal().reason == "no_target"
    quarantine = Case(Intent.QUARANTINE, "CppQuarantine").alone(suffered=0.0, risk=0.9)
    assert went(quarantine.at(place("n1", 3.0), place("n2", 0.1), isolated).plan())[1] == "n3"


def test_a_quarantine_without_isolated_nodes_only_says_so() -> None:
    case = Case(Intent.QUARANTINE, "CppQuarantine").alone(risk=0.9)
    assert case.refusal().reason == "no_isolated_node"
    assert case.at(place("n1", 3.0), place("n2", 2.0), place("n3", 3.4, ISOLATED)).refusal().reason == "no_target"
    assert case.at(place("n1", 3.0, ISOLATED), place("n3", 0.4, ISOLATED)).refusal().reason == "already_isolated"


def test_a_culprit_that_can_be_throttled_is_throttled_first() -> None:
    fresh = Case().culprit(throttleable=True)
    fresh.order = replace(fresh.order, opened_at=NOW - LIMITS.move_relief + 1)
    assert fresh.refusal().reason == "relief_first"
    fresh.order = replace(fresh.order, opened_at=NOW - LIMITS.move_relief)
    assert fresh.plan()
    since = {"throttled_since": NOW - LIMITS.throttle_patience + 1}
    assert Case().culprit(throttleable=True, **since).refusal().reason == "effect_pending"
    assert Case().culprit(throttleable=True, throttled_since=NOW - LIMITS.throttle_patience).plan()


@pytest.mark.parametrize(("intent", "alert"), [(Intent.MIGRATE, "CppMigrate"), (Intent.QUARANTINE, "CppQuarantine")])
def test_an_autoscaler_of_limits_does_not_keep_a_pod_where_it_is(intent: Intent, alert: str) -> None:
    case = Case(intent, alert).alone(risk=0.9).at(place("n1", 3.0), place("n2", 2.0), place("n3", 0.4, ISOLATED))
    case.allocation = replace(case.allocation, managed={"cpu": "HorizontalPodAutoscaler web"})
    assert case.plan()
    case.allocation = replace(case.allocation, managed_by="kube-system")
    assert case.refusal().reason == "managed"


def test_a_throttle_of_its_own_does_not_keep_a_risky_pod_from_its_quarantine() -> None:
    isolated = [place("n1", 3.0), place("n2", 2.0), place("n3", 0.4, ISOLATED)]
    throttle = Throttle(target("victim"), "cpu", 1.0, 0.5, NOW + 300)
    quarantine, migrate = Case(Intent.QUARANTINE, "CppQuarantine").alone(risk=0.9), Case().alone()
    quarantine.memory = migrate.memory = Memory(throttle=throttle)
    assert quarantine.at(*isolated).plan()
    assert migrate.at(*isolated).refusal().reason == "throttle_active"


def test_relief_is_not_waited_for_where_a_cpu_limit_would_not_help() -> None:
    case = Case().culprit(throttleable=True)
    case.order = replace(case.order, opened_at=NOW, resource="disk_io")
    assert case.plan()


def test_a_node_gives_away_one_pod_at_a_time_and_then_waits_for_its_forecast() -> None:
    case = Case().alone()
    case.underway = frozenset({"n1"})
    assert case.refusal().reason == "move_underway"
    case.underway = frozenset({"set-victim"})
    assert case.refusal().reason == "move_underway"
    case.underway = frozenset({"n7"})
    case.moves = (Move("set-other", "n1", "n2", NOW - LIMITS.move_settle + 1),)
    assert case.refusal().reason == "effect_pending"
    case.moves = (Move("set-other", "n1", "n2", NOW - LIMITS.move_settle),)
    assert case.plan()


def test_a_forecast_alone_asks_for_more_than_a_breach_does() -> None:
    crowded = [place("n1", 2.0), place("n2", 2.0), place("n3", 2.4)]
    costly = {"warm_bytes": 12 * GIB, "suffered": 0.4}
    assert Case().alone(**costly).at(*crowded).plan()
    assert Case(alert="CppMigrateAheadCpu").alone(**costly).at(*crowded).refusal().reason == "not_worth"
    roomy_enough = [place("n1", 3.8), place("n3", 2.6)]
    assert Case().alone().at(*roomy_enough).plan()
    assert Case(alert="CppMigrateAheadCpu").alone().at(*roomy_enough).refusal().reason == "no_target"


def test_an_overload_that_is_forecast_is_reason_enough_to_move() -> None:
    heavy = {"suffered": 0.0, "forecast": {"cpu": 1.5, "memory": GIB}}
    assert went(Case(alert="CppMigrateAheadCpu").alone(**heavy).at(place("n1", 4.0), place("n3", 0.4)).plan())
    easy = Case(alert="CppMigrateAheadCpu").alone(**heavy).at(place("n1", 2.0), place("n3", 0.4))
    assert easy.refusal().reason == "not_worth"


def test_the_cost_grows_with_start_up_working_set_scarce_budgets_and_recent_moves() -> None:
    source, free = place("n1", 3.0), place("n3", 0.4)

    def cost(**changes: Any) -> float:
        return weigh(mover("a", **changes), source, free, reactive(LIMITS), LIMITS).cost

    plain = cost()
    assert cost(start_up=20.0) == 2 * plain
    assert cost(start_up=None) == LIMITS.move_start_up / 2
    assert cost(warm_bytes=LIMITS.move_warm_up_rate) == plain + 0.5
    assert cost(disruptions_left=1) == 2 * plain
    assert plain < cost(disruptions_left=10) < cost(disruptions_left=2)
    assert cost(moves_last_day=2) == 4 * plain
    assert cost(replicas=4) == plain / 2


def test_an_emptier_target_is_worth_more() -> None:
    source, suffering = place("n1", 3.0), mover("a", suffered=0.4)
    worths = [weigh(suffering, source, place("n2", cores), reactive(LIMITS), LIMITS) for cores in (0.4, 1.2, 2.4)]
    assert worths[0].benefit > worths[1].benefit > worths[2].benefit > 0


def test_a_cluster_that_gives_no_answer_is_not_guessed_at() -> None:
    case = Case()
    case.problem = "the API server does not answer"
    refusal = case.refusal()
    assert (refusal.reason, refusal.retryable) == ("node_unknown", True)
    assert refusal.detail == case.problem
    unknown = Case().at(place("n2", 1.0))
    assert unknown.refusal().reason == "node_unknown"
