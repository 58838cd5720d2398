from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from actuator.ledger.sqlite import SqliteLedger
from actuator.model.decisions import Plan, Step, StepOutcome, StepState
from actuator.model.orders import Intent, Order, OrderState, Target
from actuator.observe import PrometheusError, Sample
from actuator.outlook import Scout
from actuator.placement import Mover, Place, Room, Scene
from actuator.platforms.errors import UnavailableError
from actuator.records import Origin
from actuator.survey import Surveyor

NOW = 100_000.0
GIB = 2.0**30


def target(pod: str, container: str = "main") -> Target:
    return Target("n1", "shop", pod, container, pod.ljust(64, "0"))


VICTIM = target("victim")
ORDER = Order(1, VICTIM, "cpu", Intent.MIGRATE, "CppMigrate", "warning", "", OrderState.OPEN, NOW, NOW)


def about(of: Target, name: str, value: float, **more: str) -> Sample:
    identity = {"node": of.node, "namespace": of.namespace, "pod": of.pod, "container": of.container}
    return {"__name__": name, **identity, "container_id": of.container_id, **more}, value


def node(name: str, cores: float, age: float = 0.0, **horizons: float) -> list[Sample]:
    rows: list[Sample] = [
        ({"__name__": "cpp_node_cpu_capacity_cores", "node": name}, 3.0),
        ({"__name__": "cpp_last_sample_timestamp_seconds", "source": "cadvisor", "node": name}, NOW - age),
    ]
    for horizon, value in {"5m": cores, **horizons}.items():
        labels = {"__name__": "cpp_node_cpu_forecast_cores", "node": name, "level": "0.9", "horizon": horizon}
        rows.append((labels, value))
    return rows


class World:
    """Prometheus, a cluster of three nodes and a ledger, each as a test has it."""

    def __init__(self, directory: Path) -> None:
        self.ledger = SqliteLedger(directory / "ledger.sqlite")
        self.nodes = [*node("n1", 2.0), *node("n2", 1.0)]
        self.pods: list[Sample] = []
        self.failure: Exception | None = None
        self.asked: list[Target] = []
        self.unsteered = ""

    def query(self, expression: str, at: float) -> list[Sample]:
        assert at == NOW
        if isinstance(self.failure, PrometheusError):
            raise self.failure
        return self.nodes if "cpp_node_" in expression else self.pods

    def places(self) -> tuple[Place, ...]:
        if self.failure:
            raise self.failure
        rooms = {resource: Room(4.0, 4.0) for resource in ("cpu", "memory")}
        return tuple(Place(name, rooms) for name in ("n1", "n2", "n3"))

    def movers(self, targets: Collection[Target]) -> list[Mover]:
        self.asked = list(targets)
        return [Mover(each, f"uid-{each.pod}", f"ReplicaSet {each.pod}", f"set-{each.pod}", {}, {}) for each in targets]

    def scene(self, **changes: Any) -> Scene:
        surveyor = Surveyor(self, Scout(self.query, 15.0), lambda: self.unsteered, self.ledger)
        return surveyor.survey(replace(ORDER, **changes), NOW)

    def move(self, pod: str, until: str, at: float) -> int:
        """Record a move of ``pod`` from n1 to n3 whose steps are done up to and with ``until``; return its order."""
        kinds = ("place", "steer", "evict", "land", "clear")
        uids = {"steer": f"set-{pod}", "land": f"set-{pod}"}
        steps = tuple(
            Step(kind, "", None, None, NOW + 100, node="n3", uid=uids.get(kind, f"uid-{pod}")) for kind in kinds
        )
        order = self.ledger.open_restore(target(pod), at)
        records = self.ledger.record_plan(order, target(pod), Plan(steps, ""), Origin.ORDER, at)
        for record in records[: kinds.index(until) + 1] if until else ():
            self.ledger.begin_step(record, at)
            self.ledger.end_step(record, StepOutcome(StepState.DONE), at)
        return order


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_node_has_the_highest_forecast_of_its_horizons_and_the_smaller_of_its_capacities(world: World) -> None:
    world.nodes = [*node("n1", 2.0), *node("n2", 1.0, **{"30m": 1.5, "15m": 1.2})]
    place = world.scene().place("n2")
    assert place is not None
    assert (place.rooms["cpu"].forecast, place.rooms["cpu"].capacity) == (1.5, 3.0)
    assert (place.rooms["memory"].forecast, place.rooms["memory"].capacity) == (None, 4.0)


def test_a_capacity_of_zero_is_no_capacity(world: World) -> None:
    world.nodes = [(labels, 0.0 if "capacity" in labels["__name__"] else value) for labels, value in world.nodes]
    assert {place.rooms["cpu"].capacity for place in world.scene().places} == {4.0}


def test_a_node_that_was_not_heard_of_lately_has_no_forecast(world: World) -> None:
    world.nodes = [*node("n1", 2.0, age=60.0), *node("n2", 1.0, age=61.0)]
    forecasts = {place.node: place.rooms["cpu"].forecast for place in world.scene().places}
    assert forecasts == {"n1": 2.0, "n2": None, "n3": None}


def test_a_pod_is_the_sum_of_its_containers_at_their_highest_horizon(world: World) -> None:
    sidecar = target("victim", "proxy")
    world.pods = [
        about(VICTIM, "cpp_cpu_forecast_cores", 0.4, horizon="5m"),
        about(VICTIM, "cpp_cpu_forecast_cores", 0.5, horizon="30m"),
        about(sidecar, "cpp_cpu_forecast_cores", 0.2, horizon="5m"),
        about(VICTIM, "cpp_memory_working_set_bytes", GIB),
        about(sidecar, "cpp_memory_working_set_bytes", GIB),
        about(sidecar, "cpp_security_risk_ratio", 0.3),
    ]
    (mover,) = world.scene().movers
    assert mover.forecast == {"cpu": 0.7}
    assert (mover.warm_bytes, mover.risk) == (2 * GIB, 0.3)


def test_culprits_are_those_who_are_blamed_for_this_victim_and_this_kind_of_trouble(world: World) -> None:
    culprit, bystander, other = target("culprit"), target("bystander"), target("other")
    blame = "cpp_interference_caused_ratio"
    world.pods = [
        ({"__name__": "cpp_alarm_threshold_ratio", "score": "interference_caused"}, 0.2),
        about(VICTIM, "cpp_interference_suffered_ratio", 0.6, resource="cpu"),
        about(VICTIM, blame, 0.9, resource="cpu", victim="main"),
        about(culprit, blame, 0.5, resource="cpu", victim="main"),
        about(bystander, blame, 0.1, resource="cpu", victim="main"),
        about(other, blame, 0.7, resource="disk_io", victim="main"),
        about(other, blame, 0.7, resource="cpu", victim="cache"),
    ]
    scene = world.scene()
    assert [mover.target for mover in scene.movers] == [VICTIM, culprit]
    assert [(mover.suffered, mover.caused) for mover in scene.movers] == [(0.6, 0.0), (0.0, 0.5)]


def test_ahead_of_a_forecast_the_heaviest_of_the_node_are_looked_at(world: World) -> None:
    pods = {f"web-{number}": number / 10 for number in range(1, 15)}
    world.pods = [about(target(name), "cpp_cpu_forecast_cores", cores) for name, cores in pods.items()]
    scene = world.scene(alert="CppMigrateAheadCpu")
    assert [mover.target.pod for mover in scene.movers] == ["victim", *(f"web-{n}" for n in range(14, 4, -1))]
    assert [mover.target for mover in world.scene().movers] == [VICTIM]
    quarantine = world.scene(intent=Intent.QUARANTINE, alert="CppQuarantine")
    assert [mover.target for mover in quarantine.movers] == [VICTIM]


def test_a_tenant_goes_to_no_node_on_which_it_breaks_a_policy_already(world: World) -> None:
    world.nodes += [({"namespace": "shop", "node": "n2"}, 1.0), ({"namespace": "bank", "node": "n3"}, 1.0)]
    (mover,) = world.scene().movers
    assert set(mover.barriers) == {"n2"}
    assert "co-tenancy policy" in mover.barriers["n2"]


def test_why_nobody_would_be_steered_is_told(world: World) -> None:
    assert world.scene().unsteered == ""
    world.unsteered = "the certificate ended"
    assert world.scene().unsteered == "the certificate ended"


def test_moves_underway_and_moves_made_are_known(world: World) -> None:
    world.move("earlier", "clear", NOW - 4000)
    world.move("now", "evict", NOW - 10)
    scene = world.scene()
    assert scene.underway == {"n1", "n3", "set-now"}
    assert {(move.controller_uid, move.source, move.node) for move in scene.moves} == {
        ("set-earlier", "n1", "n3"),
        ("set-now", "n1", "n3"),
    }
    world.move("victim", "clear", NOW - 5000)
    (mover,) = world.scene().movers
    assert (mover.moved_at, mover.moves_last_day) == (NOW - 5000, 1)


def test_a_move_that_is_planned_is_underway_until_it_is_cancelled_and_its_eviction_counts(world: World) -> None:
    order = world.move("now", "", NOW - 1)
    assert world.ledger.migrations() == []
    assert world.scene().underway == {"n1", "n3", "set-now"}
    assert world.ledger.recall(ORDER, None, NOW).actions_last_hour == 1
    world.ledger.cancel_planned(order, NOW)
    assert world.scene().underway == frozenset()
    assert world.ledger.recall(ORDER, None, NOW).actions_last_hour == 0


def test_a_move_that_was_given_up_before_the_eviction_is_none(world: World) -> None:
    world.move("victim", "steer", NOW - 5000)
    (mover,) = world.scene().movers
    assert (mover.moved_at, mover.moves_last_day) == (None, 0)


@pytest.mark.parametrize("failure", [PrometheusError("no route"), UnavailableError("no answer")])
def test_what_gives_no_answer_is_told_as_the_problem(world: World, failure: Exception) -> None:
    world.failure = failure
    scene = world.scene()
    assert scene.problem == str(failure)
    assert scene.places == scene.movers == ()
