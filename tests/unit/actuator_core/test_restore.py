"""Restore gives back what the owner had set."""

from typing import Any

import pytest

from actuator.carry import Carrier
from actuator.execute import Executor
from actuator.restore import Restorer, touched

GIB = 2**30


@pytest.fixture
def restorer(world: Any) -> Any:
    carrier = Carrier(world.service.ledger, Executor(world.kernel), world.clock)
    return Restorer(world.service.ledger, world.kernel, carrier, world.config.limits, world.clock)


def test_a_throttle_is_undone_and_recorded_as_asked_for_by_hand(world: Any, make_alert: Any, restorer: Any) -> None:
    world.post(make_alert(intent="relieve"))
    world.work()
    ((_, said, good),) = restorer.restore(touched(world.service.ledger, world.kernel, "web"))
    assert good
    assert "/cgroup/web/cpu" in said
    assert world.kernel.limits["web", "cpu"] == 1.0
    assert world.service.ledger.throttles() == []
    assert (world.actions()[0]["intent"], world.actions()[0]["outcome"]) == ("restore", "done")


def test_a_raise_is_undone_and_no_longer_counts_as_one(world: Any, make_alert: Any, restorer: Any) -> None:
    world.post(make_alert())
    world.work()
    world.post(make_alert(status="resolved"), make_alert(intent="activate"))
    world.work()
    assert world.kernel.limits["web", "cpu"] > 1
    restorer.restore(touched(world.service.ledger, world.kernel, "id-of"))
    assert world.kernel.limits["web", "cpu"] == 1.0


def test_a_container_never_changed_is_not_found(world: Any) -> None:
    assert touched(world.service.ledger, world.kernel, "web") == []
    assert touched(world.service.ledger, world.kernel, None) == []


def test_what_is_restored_already_is_said_to_be(world: Any, make_alert: Any, restorer: Any) -> None:
    world.post(make_alert(intent="relieve"))
    world.work()
    restorer.restore(touched(world.service.ledger, world.kernel, None))
    ((_, said, good),) = restorer.restore(touched(world.service.ledger, world.kernel, None))
    assert (said, good) == ("the owner's limits are in force", True)


def test_a_platform_that_does_not_answer_is_a_failure_in_words(world: Any, make_alert: Any, restorer: Any) -> None:
    world.post(make_alert(intent="relieve"))
    world.work()
    world.kernel.reachable = False
    ((_, said, good),) = restorer.restore(touched(world.service.ledger, world.kernel, None))
    assert (said, good) == ("the platform does not answer", False)


def test_the_cooldown_holds_after_a_restore(world: Any, make_alert: Any, restorer: Any) -> None:
    world.post(make_alert(intent="relieve"))
    world.work()
    world.clock.pass_by(310)
    world.watchdog()
    restorer.restore(touched(world.service.ledger, world.kernel, None))
    world.work()
    assert world.kernel.limits["web", "cpu"] == 1.0


@pytest.fixture
def raised(world: Any, make_alert: Any) -> Any:
    world.truth.say(usage=0.9 * GIB, forecast=1.8 * GIB, node_forecast=2 * GIB, node_capacity=64 * GIB)
    world.post(make_alert(labels={"resource": "memory"}))
    world.work()
    world.post(make_alert(status="resolved", labels={"resource": "memory"}))
    world.post(make_alert(intent="activate", labels={"resource": "memory"}))
    world.work()
    assert world.kernel.limits["web", "memory"] > 1.5 * GIB
    return world


def test_memory_that_fits_into_the_owners_limit_is_given_back_whole(raised: Any, restorer: Any) -> None:
    ((_, said, good),) = restorer.restore(touched(raised.service.ledger, raised.kernel, None))
    assert good
    assert "in use" not in said
    assert raised.kernel.limits["web", "memory"] == GIB


def test_memory_in_use_over_the_owners_limit_is_a_failure_in_words_each_time(raised: Any, restorer: Any) -> None:
    raised.kernel.memory_usage = 1.2 * GIB
    for _ in range(2):
        ((_, said, good),) = restorer.restore(touched(raised.service.ledger, raised.kernel, None))
        assert not good
        assert "what is in use forbids the owner's 1073741824" in said
    assert raised.kernel.limits["web", "memory"] == pytest.approx(1.2 * 1.15 * GIB)
