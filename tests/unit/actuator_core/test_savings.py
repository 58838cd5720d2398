"""What reclaims have taken, and what of it is still saved."""

from typing import Any

import pytest

GIB = 2.0**30


@pytest.fixture
def reclaimed(world: Any, make_alert: Any) -> Any:
    world.truth.say(usage=0.2, peak=0.2, forecast=0.2, forecast_top=0.2)
    world.post(make_alert(intent="reclaim"))
    world.work()
    assert world.kernel.limits["web", "cpu"] == 0.5
    return world


def value(world: Any, metric: str) -> float:
    return next(float(line.split()[1]) for line in world.metrics().splitlines() if line.startswith(f"{metric} "))


def test_nothing_is_saved_before_the_first_reclaim(world: Any) -> None:
    for metric in ("cpp_reclaimed_cpu_cores_total", "cpp_reclaimed_memory_bytes_total", "cpp_saved_cpu_cores"):
        assert value(world, metric) == 0.0


def test_what_a_reclaim_takes_is_counted_and_saved(reclaimed: Any, make_world: Any) -> None:
    for world in (reclaimed, make_world()):
        assert value(world, "cpp_reclaimed_cpu_cores_total") == 0.5
        assert value(world, "cpp_saved_cpu_cores") == 0.5
        assert value(world, "cpp_saved_memory_bytes") == 0.0


def test_memory_is_counted_in_bytes(world: Any, make_alert: Any) -> None:
    world.truth.say(usage=0.1 * GIB, peak=0.2 * GIB, forecast=0.2 * GIB, forecast_top=0.2 * GIB)
    world.post(make_alert(intent="reclaim", labels={"resource": "memory"}))
    world.work()
    assert value(world, "cpp_reclaimed_memory_bytes_total") == GIB / 2
    assert value(world, "cpp_saved_memory_bytes") == GIB / 2


def test_what_is_given_again_is_saved_no_more_and_stays_counted(reclaimed: Any) -> None:
    reclaimed.kernel.limits["web", "cpu"] = 0.8  # somebody else gives it
    reclaimed.truth.say(firing=False)
    reclaimed.clock.pass_by(600)
    reclaimed.watchdog()
    reclaimed.work()
    assert value(reclaimed, "cpp_reclaimed_cpu_cores_total") == 0.5
    assert value(reclaimed, "cpp_saved_cpu_cores") == 0.0


def test_a_throttle_saves_nothing(world: Any, make_alert: Any) -> None:
    world.post(make_alert(intent="relieve"))
    world.work()
    assert world.kernel.limits["web", "cpu"] < 1.0
    assert value(world, "cpp_reclaimed_cpu_cores_total") == 0.0
    assert value(world, "cpp_saved_cpu_cores") == 0.0
