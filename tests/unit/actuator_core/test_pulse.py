"""A worker whose loop is dead or hangs is told of, and its process ends."""

import threading
import time
from typing import Any

import pytest

from actuator import service
from actuator.pulse import Pulse


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class EndedError(Exception):
    """Stands for the end of the process."""


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pulse(clock: Clock) -> Pulse:
    return Pulse(clock)


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> None:
    def end(status: int) -> None:
        raise EndedError(status)

    monkeypatch.setattr("actuator.service.os._exit", end)
    monkeypatch.setattr(service, "_LOOK_SECONDS", 0.01)


def test_a_loop_that_has_not_begun_has_no_fault_and_does_not_beat(pulse: Pulse, clock: Clock) -> None:
    clock.now += 10_000
    assert (pulse.fault(), pulse.beats) == ("", False)


def test_a_loop_that_beats_now_and_then_goes_on(pulse: Pulse, clock: Clock) -> None:
    for _ in range(5):
        pulse.beat()
        clock.now += 290
        assert (pulse.fault(), pulse.beats) == ("", True)


def test_a_loop_that_is_silent_for_long_hangs_and_goes_on_when_it_beats_again(pulse: Pulse, clock: Clock) -> None:
    pulse.beat()
    clock.now += 301
    assert (pulse.fault(), pulse.beats) == ("the worker's loop hangs since 301 s", False)
    pulse.beat()
    assert (pulse.fault(), pulse.beats) == ("", True)


def test_a_loop_that_is_over_does_not_come_back(pulse: Pulse) -> None:
    pulse.beat()
    pulse.end()
    assert (pulse.fault(), pulse.beats) == ("the worker's loop has ended", False)


@pytest.mark.usefixtures("ends")
@pytest.mark.parametrize("dies", [True, False], ids=["dead", "hanging"])
def test_the_process_ends_where_the_loop_does_not_go_on(pulse: Pulse, clock: Clock, dies: bool) -> None:
    pulse.beat()
    clock.now += 0 if dies else 400
    if dies:
        pulse.end()
    with pytest.raises(EndedError, match="1"):
        service._watch(threading.Event(), pulse)


@pytest.mark.usefixtures("ends")
def test_while_the_loop_goes_on_the_process_ends_only_when_told_to(pulse: Pulse) -> None:
    pulse.beat()
    stopped = threading.Event()
    threading.Timer(0.1, stopped.set).start()
    began = time.monotonic()
    service._watch(stopped, pulse)
    assert time.monotonic() - began >= 0.1


def test_what_is_no_error_ends_the_loop_and_liveness_says_so(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client = world.service.app.test_client()
    world.service.worker.run_once()
    assert [client.get(path).status_code for path in ("/-/healthy", "/-/ready")] == [200, 200]

    def leave() -> None:
        raise SystemExit

    monkeypatch.setattr(world.service.worker._peers.recovery, "run", leave)
    with pytest.raises(SystemExit):
        world.service.worker.run()
    assert [client.get(path).status_code for path in ("/-/healthy", "/-/ready")] == [503, 503]
    assert client.get("/-/healthy").get_data(as_text=True) == "the worker's loop has ended\n"


def test_an_error_in_a_pass_does_not_end_the_loop(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("nobody foresaw this")

    monkeypatch.setattr(world.service.worker._peers.recovery, "run", fail)
    world.service.worker.run_once()
    assert world.service.worker.pulse.beats
