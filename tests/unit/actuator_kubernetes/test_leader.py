"""Never two leaders at once, and never none for long; no clock is compared with another node's."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from apiserver.faults import asks
from apiserver.nodes import pod
from apiserver.server import StubApiServer
from kubernetes.client import ApiClient, CoreV1Api
from structlog.testing import capture_logs

from actuator.leader import Lease, LeaseElection
from actuator.ledger.database import LedgerError
from actuator.platforms.errors import GoneError, RejectedError, UnavailableError
from actuator.platforms.kubernetes.calls import Calls
from actuator.platforms.kubernetes.fence import FencedClient
from actuator.platforms.kubernetes.leases import LABEL, NAME, ClusterLease, LeaderLabel
from actuator.tenure import Tenure

TAKEN_OVER_WITHIN = 20.0
STEP = 0.5


class Line(ClusterLease):
    """A way to the API server that can be cut."""

    cut = False

    def get(self) -> Lease | None:
        self._require()
        return super().get()

    def put(self, holder: str, changes: int, old: Lease | None) -> Lease:
        self._require()
        return super().put(holder, changes, old)

    def _require(self) -> None:
        if self.cut:
            raise UnavailableError("the line is cut")


@dataclass
class Replica:
    """A process with its own clock, which asks each two seconds while it lives."""

    line: Line
    skew: float
    now: list[float]
    alive: bool = True
    election: LeaseElection = field(init=False)
    next_try: float = 0.0

    def __post_init__(self) -> None:
        self.election = LeaseElection(self.line, f"replica-{self.skew}", lambda: self.now[0] + self.skew)

    def run(self) -> None:
        if self.alive and self.now[0] >= self.next_try:
            self.next_try = self.now[0] + 2.0
            self.election.stand()

    def leads(self) -> bool:
        return self.alive and self.election.leads()


@dataclass
class World:
    """Some replicas and the time that passes for all of them."""

    replicas: list[Replica]
    now: list[float]

    def leaders(self) -> list[Replica]:
        return [replica for replica in self.replicas if replica.leads()]

    def pass_by(self, seconds: float) -> None:
        for _ in range(round(seconds / STEP)):
            self.now[0] += STEP
            for replica in self.replicas:
                replica.run()
                assert len(self.leaders()) <= 1

    def until_another_leads(self, former: Replica) -> float:
        began = self.now[0]
        while not [one for one in self.leaders() if one is not former]:
            assert self.now[0] - began < 60
            self.pass_by(STEP)
        return self.now[0] - began


@pytest.fixture
def world(client: ApiClient) -> World:
    now = [1000.0]
    return World([Replica(Line(client, "cpp-system"), skew, now) for skew in (0.0, -77_000.0, 1e9)], now)


@pytest.fixture
def leader(world: World) -> Replica:
    world.pass_by(4)
    (leader,) = world.leaders()
    return leader


def test_one_of_several_leads_and_keeps_on_leading(world: World, leader: Replica) -> None:
    world.pass_by(120)
    assert world.leaders() == [leader]
    assert leader.election.term == 1


def test_a_killed_leader_is_followed_within_twenty_seconds(world: World, leader: Replica) -> None:
    world.pass_by(7)
    leader.alive = False
    assert 8.0 <= world.until_another_leads(leader) < TAKEN_OVER_WITHIN - 2


def test_a_leader_that_cannot_renew_stops_before_another_begins(world: World, leader: Replica) -> None:
    leader.line.cut = True
    assert world.until_another_leads(leader) < TAKEN_OVER_WITHIN
    assert not leader.election.leads()
    leader.line.cut = False
    world.pass_by(60)
    assert world.leaders() != [leader]


def test_while_the_api_server_is_away_nobody_leads_and_then_one_does(
    world: World, leader: Replica, api_server: StubApiServer
) -> None:
    api_server.stop()
    world.pass_by(30)
    assert world.leaders() == []
    api_server.start()
    world.pass_by(14)
    assert len(world.leaders()) == 1


def test_one_that_leads_again_is_in_another_term(world: World, leader: Replica, api_server: StubApiServer) -> None:
    world.replicas[:] = [leader]
    api_server.stop()
    world.pass_by(30)
    api_server.start()
    world.pass_by(4)
    assert leader.leads()
    assert leader.election.term == 2


def test_one_that_stops_in_order_is_followed_at_once(world: World, leader: Replica) -> None:
    leader.election.step_down()
    leader.alive = False
    assert world.until_another_leads(leader) <= 2


def test_a_renewal_of_which_the_answer_was_lost_is_no_renewal(
    world: World, leader: Replica, api_server: StubApiServer
) -> None:
    for _ in range(3):
        api_server.drop(asks("update", "leases"))
    world.pass_by(4)
    assert world.leaders() == [leader]
    world.pass_by(20)
    assert world.leaders() == [leader]


def test_a_lease_that_makes_no_sense_is_said_once_and_ends_no_election(
    world: World, leader: Replica, api_server: StubApiServer
) -> None:
    world.replicas[:] = [leader]
    lease = api_server.store.get("leases", "cpp-system", NAME)
    bad = api_server.store.update("leases", lease, {**lease, "spec": {**lease["spec"], "leaseTransitions": "many"}})
    with capture_logs() as logs:
        world.pass_by(20)
    assert not leader.leads()
    _, said = logs  # after the one that says that somebody else wrote
    assert "TypeError" in said["error"]
    api_server.store.update("leases", bad, {**bad, "spec": {}})
    world.pass_by(4)
    assert leader.leads()


def test_what_another_clock_wrote_on_the_lease_does_not_matter(
    world: World, leader: Replica, api_server: StubApiServer
) -> None:
    lease = api_server.store.get("leases", "cpp-system", NAME)
    spec = {**lease["spec"], "renewTime": "2999-01-01T00:00:00.000000Z"}
    api_server.store.update("leases", lease, {**lease, "spec": spec})
    leader.alive = False
    assert world.until_another_leads(leader) < TAKEN_OVER_WITHIN


def test_a_leader_asks_once_in_two_seconds(world: World, leader: Replica, api_server: StubApiServer) -> None:
    world.replicas[:] = [leader]
    before = len(api_server.asked)
    world.pass_by(60)
    assert len(api_server.asked) - before == 30


def test_an_election_runs_until_stopped_and_gives_the_lease_back(client: ApiClient, api_server: StubApiServer) -> None:
    election, stopped = LeaseElection(ClusterLease(client, "cpp-system"), "one"), threading.Event()
    changed = threading.Event()
    thread = threading.Thread(target=election.run, args=(stopped, changed.set))
    thread.start()
    assert changed.wait(5)
    assert election.leads()
    stopped.set()
    thread.join(5)
    assert not election.leads()
    assert "holderIdentity" not in api_server.store.get("leases", "cpp-system", NAME)["spec"]


@pytest.fixture
def fenced(client: ApiClient) -> Iterator[Callable[[bool], CoreV1Api]]:
    made = []

    def make(leads: bool) -> CoreV1Api:
        one = FencedClient(client.configuration, lambda: leads)
        made.append(one)
        return CoreV1Api(one)

    yield make
    for one in made:
        one.close()


def test_one_that_does_not_lead_may_look_and_not_touch(fenced: Any, api_server: StubApiServer) -> None:
    api_server.add("pods", pod("web-1", "shop", {"cpu": "1"}, {"cpu": "1"}))
    core, call = fenced(False), Calls(5.0)
    assert call(core.read_namespaced_pod, "web-1", "shop")["metadata"]["name"] == "web-1"
    for change in (core.delete_namespaced_pod, core.patch_namespaced_pod, core.create_namespaced_pod_eviction):
        body = () if change == core.delete_namespaced_pod else ({"metadata": {}},)
        with pytest.raises(UnavailableError, match="does not lead"):
            call(change, "web-1", "shop", *body)
    assert {request.verb for request in api_server.asked} == {"get"}
    call(fenced(True).delete_namespaced_pod, "web-1", "shop")
    assert api_server.store.find("pods") == []


def test_a_change_is_given_up_before_another_could_lead_and_a_question_is_not(
    client: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(ApiClient, "call_api", lambda _, *call, **options: asked.append((*call, *options.values())))
    fenced = FencedClient(client.configuration, lambda: True)
    for method, timeout in (("GET", 10.0), ("PATCH", 10.0), ("POST", 2.0)):
        fenced.call_api(method, _request_timeout=timeout)
    fenced.close()
    assert asked == [("GET", 10.0), ("PATCH", 3.5), ("POST", 2.0)]


def test_the_leaders_pod_has_the_label_and_no_other(client: ApiClient, api_server: StubApiServer) -> None:
    for name in ("one", "two"):
        api_server.add("pods", pod(name, "cpp-system", {}, {}))
    for name in ("one", "two", "two"):
        LeaderLabel(client, "cpp-system", name).take()
    labelled = api_server.store.find("pods", labels=f"{LABEL}=true")
    assert [each["metadata"]["name"] for each in labelled] == ["two"]
    with pytest.raises(GoneError):
        LeaderLabel(client, "cpp-system", "gone").take()


class Standing:
    """An election that the test decides."""

    term, won = 0, False

    def leads(self) -> bool:
        return self.won

    def win(self) -> None:
        self.won, self.term = True, self.term + 1


class Books:
    """A ledger that says whether it could be taken over."""

    taken, broken = 0, False

    def take_over(self) -> None:
        if self.broken:
            raise LedgerError("not now")
        self.taken += 1


def test_a_leader_acts_when_it_knows_what_was_left_and_looks_anew_in_each_term() -> None:
    election, books, told = Standing(), Books(), list[int]()
    tenure = Tenure(election, books, lambda: told.append(books.taken))  # type: ignore[arg-type]
    assert not tenure.begin()
    election.win()
    books.broken = True
    with pytest.raises(LedgerError):
        tenure.begin()
    assert not tenure.acts()
    books.broken = False
    assert tenure.begin()
    assert tenure.begin()
    assert (books.taken, told) == (1, [1])
    election.won = False
    assert not tenure.acts()
    election.win()
    assert not tenure.acts()
    assert tenure.begin()
    assert (books.taken, told) == (2, [1, 2])


def test_one_that_cannot_be_announced_acts_and_tries_again() -> None:
    election, tries = Standing(), list[int]()

    def announce() -> None:
        tries.append(1)
        if len(tries) == 1:
            raise RejectedError("no right to")

    tenure = Tenure(election, Books(), announce)  # type: ignore[arg-type]
    election.win()
    assert tenure.begin()
    assert tenure.begin()
    assert tenure.begin()
    assert len(tries) == 2
