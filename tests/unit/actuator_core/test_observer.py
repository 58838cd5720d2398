"""What the observer makes of clocks that differ, and of memory in use; Prometheus is a stand-in on a real socket."""

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from prometheus import StubPrometheus

from actuator.model.orders import Intent, Order, OrderState, Target
from actuator.observe import Observer
from actuator.truth import missing_truth

POD = Target("n1", "shop", "web-1", "main", "a" * 64)
ORDER = Order(1, POD, "cpu", Intent.RECLAIM, "CppReclaim", "info", "", OrderState.OPEN, 0.0, 0.0)
KNOWN = {"usage": 0.1, "forecast": 0.2, "top": 0.3, "peak": 0.2, "node_capacity": 4.0, "node_forecast": 1.0}


@pytest.fixture
def prometheus() -> Iterator[StubPrometheus]:
    with StubPrometheus(firing={"CppReclaim": [POD]}, known={("web-1", "cpu"): KNOWN}) as one:
        yield one


@pytest.fixture
def observer(prometheus: StubPrometheus) -> Observer:
    return Observer(prometheus.url, 5.0, 15.0)


def test_clocks_that_agree_are_no_reason_to_wait(observer: Observer) -> None:
    seen = observer.observe(ORDER, time.time())
    assert (seen.firing, seen.usage, missing_truth(seen)) == (True, 0.1, None)
    assert abs(seen.clock_skew) < 3


@pytest.mark.parametrize("ahead", [-300.0, 300.0])
def test_a_prometheus_whose_clock_is_not_ours_says_nothing_of_now(
    observer: Observer, prometheus: StubPrometheus, ahead: float
) -> None:
    prometheus.ahead = ahead
    seen = observer.observe(ORDER, time.time())
    refusal = missing_truth(seen)
    assert refusal is not None
    assert (refusal.reason, refusal.retryable) == ("clock_skew", True)
    assert seen.clock_skew == pytest.approx(ahead, abs=3)


def test_a_node_whose_samples_come_before_their_time_is_not_fresh(
    observer: Observer, prometheus: StubPrometheus
) -> None:
    prometheus.exporter_ahead = 300.0
    refusal = missing_truth(observer.observe(ORDER, time.time()))
    assert refusal is not None
    assert refusal.reason == "clock_skew"


def test_a_node_whose_clock_is_behind_has_old_samples(observer: Observer, prometheus: StubPrometheus) -> None:
    prometheus.exporter_ahead = -300.0
    refusal = missing_truth(observer.observe(ORDER, time.time()))
    assert refusal is not None
    assert refusal.reason == "stale_data"


def test_memory_in_use_is_known_by_pod_whatever_the_containers_id(
    observer: Observer, prometheus: StubPrometheus
) -> None:
    prometheus.known["web-1", "memory"] = {**KNOWN, "usage": 5e7}
    assert observer.memory_in_use(replace(POD, container_id="b" * 64)) == 5e7
    assert observer.memory_in_use(replace(POD, pod="web-2")) is None


def test_memory_in_use_is_not_known_without_prometheus() -> None:
    assert Observer("http://127.0.0.1:9", 1.0, 15.0).memory_in_use(POD) is None
