"""kill -9 at the worst moments: what was acknowledged is done, and done once."""

from typing import Any


def test_killed_before_the_change_reaches_the_platform_it_is_made_once_after_the_restart(
    start: Any, remote: Any, watchdog: Any, relieve: Any, eventually: Any
) -> None:
    first = start()
    assert first.post(watchdog) == 202
    assert first.post(relieve) == 202
    assert remote.arrived.wait(45)
    first.kill()
    assert remote.changes == []
    remote.open_doors()
    second = start()
    eventually(lambda: [step["state"] for step in second.steps()] == ["done"])
    assert remote.changes == [remote.limit]
    assert remote.limit < 1.0


def test_killed_after_the_change_and_before_its_record_it_is_not_made_again(
    start: Any, remote: Any, watchdog: Any, relieve: Any, eventually: Any
) -> None:
    remote.wait_before.set()
    first = start()
    first.post(watchdog)
    first.post(relieve)
    assert remote.arrived.wait(45)
    first.kill()
    assert len(remote.changes) == 1
    remote.open_doors()
    second = start()
    eventually(lambda: [step["state"] for step in second.steps()] == ["done"])
    assert len(remote.changes) == 1
    assert "cpp_throttle_active{" in second.request("GET", "/metrics").text


def test_killed_right_after_the_acknowledgement_the_order_is_carried_out_once_after_the_restart(
    start: Any, remote: Any, watchdog: Any, relieve: Any, eventually: Any
) -> None:
    remote.open_doors()
    first = start()
    assert first.post(relieve) == 202  # without a watchdog nothing is done yet
    first.kill()
    assert remote.changes == []
    second = start()
    second.post(watchdog)
    eventually(lambda: [step["state"] for step in second.steps()] == ["done"])
    assert len(remote.changes) == 1


def test_told_to_stop_it_finishes_the_step_in_hand(
    start: Any, remote: Any, watchdog: Any, relieve: Any, eventually: Any
) -> None:
    remote.wait_before.set()
    first = start()
    first.post(watchdog)
    first.post(relieve)
    assert remote.arrived.wait(45)
    first.process.terminate()
    remote.open_doors()
    assert first.process.wait(20) == 0
    second = start()
    assert [step["state"] for step in second.steps()] == ["done"]
    assert len(remote.changes) == 1
