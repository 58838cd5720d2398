"""A replica that does not lead takes nothing, does nothing and says so; it is ready all the same."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from actuator.config import Config
from actuator.execute import Executor
from actuator.service import ALONE, Outside, Replicas, build


@dataclass
class Standing:
    """An election that the test decides."""

    won: bool = False
    term: int = 0

    def leads(self) -> bool:
        return self.won

    def win(self) -> None:
        self.won, self.term = True, self.term + 1

    def run(self, stopped: object, changed: object) -> None:
        raise AssertionError("nothing runs here")


@pytest.fixture
def election() -> Standing:
    return Standing()


@pytest.fixture
def standby(
    make_world: Callable[..., Any], settings: dict[str, Any], election: Standing, clock: Any, tmp_path: Any
) -> Iterator[Any]:
    """The world of the other tests, with an election."""
    world = make_world()
    world.kernel.add("web", 1.0, 2.0**30)
    config = Config.model_validate(settings | {"ledger": {"path": tmp_path / "standby.sqlite"}})
    replicas: Replicas = replace(ALONE, election=election)
    outside = Outside(world.kernel, Executor(world.kernel), world.truth, replicas)
    other = replace(world, config=config, service=build(config, outside, None, clock))
    yield other
    other.service.ledger.close()


def test_it_sends_alerts_and_switches_away_and_counts_no_rejection(standby: Any, make_alert: Any) -> None:
    assert standby.post(make_alert(intent="relieve")) == 503
    assert standby.watchdog() == 503
    client, token = standby.service.app.test_client(), {"Authorization": "Bearer secret"}
    assert client.post("/pause", headers=token).status_code == 503
    assert 'cpp_webhook_rejections_total{code="503"} 0.0' in standby.metrics()
    assert standby.actions() == []


def test_it_does_nothing_until_it_leads_and_nothing_more_after_it(
    standby: Any, election: Standing, make_alert: Any
) -> None:
    standby.work()
    election.win()
    assert standby.post(make_alert(intent="relieve")) == 503  # what was left is not known yet
    standby.work()
    assert standby.watchdog() == 202
    assert standby.post(make_alert(intent="relieve")) == 202
    election.won = False
    standby.work()
    assert standby.kernel.calls == []
    election.win()
    standby.work()
    assert len(standby.kernel.calls) == 1


def test_a_takeover_that_fails_unforeseen_is_tried_again(
    standby: Any, election: Standing, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def take_over() -> None:
        tries.append(1)
        if len(tries) == 1:
            raise KeyError("nobody foresaw this")

    monkeypatch.setattr(standby.service.ledger, "take_over", take_over)
    election.win()
    standby.work()
    assert standby.watchdog() == 202
    assert len(tries) == 2
    assert "cpp_worker_errors_total 1.0" in standby.metrics()


def test_what_is_held_and_open_is_the_leaders_to_say(standby: Any, election: Standing, make_alert: Any) -> None:
    election.win()
    standby.work()
    standby.watchdog()
    standby.post(make_alert(intent="relieve"))
    standby.work()
    leading = standby.metrics()
    assert "cpp_leader 1.0" in leading
    assert "cpp_throttle_active{" in leading
    assert 'cpp_orders{state="open"} 1.0' in leading
    election.won = False
    following = standby.metrics()
    assert "cpp_leader 0.0" in following
    assert "cpp_throttle_active" not in following
    assert "cpp_orders" not in following
    assert "cpp_ledger_up 1.0" in following
    assert 'cpp_actions_total{intent="relieve",outcome="done"} 1.0' in following


def test_one_without_an_election_always_leads(world: Any) -> None:
    assert "cpp_leader 1.0" in world.metrics()
