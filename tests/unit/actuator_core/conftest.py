import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from actuator.config import Config
from actuator.execute import Executor
from actuator.model.decisions import Notice
from actuator.model.knowledge import Allocation, KernelValue, Observation, OwnerLimits
from actuator.model.orders import Order, Target
from actuator.platforms.errors import DEFERRED, ConflictError, GoneError, StoppedError, UnavailableError
from actuator.service import Outside, Service, build

GIB = float(2**30)
SEEN = Observation(
    at=0.0,
    firing=True,
    sample_age=1.0,
    usage=0.9,
    forecast=1.8,
    forecast_top=1.9,
    forecast_due_at=1_000_030.0,
    peak=0.9,
    history_seconds=90_000.0,
    node_capacity=16.0,
    node_forecast=2.0,
)


@dataclass
class Clock:
    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Kernel:
    """A platform in memory: a limit per (container, resource)."""

    name: str = "stub"
    limits: dict[tuple[str, str], float | None] = field(default_factory=dict)
    calls: list[tuple[str, str, float | None]] = field(default_factory=list)
    running: bool = True
    reachable: bool = True
    opted_out: bool = False
    owners: list[OwnerLimits] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    memory_usage: float = 0.1 * GIB
    holds: dict[tuple[Target, str], float] = field(default_factory=dict)
    full: bool = False

    def add(self, container: str, cpu: float | None, memory: float | None) -> None:
        self.limits[container, "cpu"], self.limits[container, "memory"] = cpu, memory

    def inspect(self, target: Target) -> Allocation | None:
        self._require_reachable()
        if (target.container, "cpu") not in self.limits:
            return None
        cpu, memory = (self.limits[target.container, resource] for resource in ("cpu", "memory"))
        flags = {"running": self.running, "opted_out": self.opted_out}
        return Allocation(cpu, memory, self.memory_usage, host_cpu=16.0, host_memory=64 * GIB, **flags)

    def set_limit(self, target: Target, resource: str, value: float | None) -> None:
        self._require_reachable()
        self.calls.append((target.container, resource, value))
        self.limits[target.container, resource] = value

    def hold(self, target: Target, resource: str, amount: float) -> None:
        self._require_reachable()
        if self.full:
            raise ConflictError("node n1 has no room", DEFERRED)
        self.holds[target, resource] = amount

    def let_go(self, target: Target, resource: str) -> None:
        self._require_reachable()
        self.holds.pop((target, resource), None)

    def holding(self) -> dict[tuple[Target, str], bool]:
        self._require_reachable()
        return dict.fromkeys(self.holds, True)

    def withdraw(self, target: Target, resource: str) -> None:
        self._require_reachable()

    def remembered(self) -> list[OwnerLimits]:
        return self.owners

    def forget(self, target: Target) -> None:
        self.owners = [owner for owner in self.owners if owner.target != target]

    def tell(self, target: Target, notice: Notice) -> None:
        self.notices.append(notice)

    def kernel_value(self, target: Target, resource: str) -> KernelValue:
        self._require_reachable()
        if (target.container, resource) not in self.limits:
            raise GoneError(f"container {target.container} is gone")
        if not self.running:
            raise StoppedError(f"container {target.container} is not running")
        value = self.limits[target.container, resource]
        return KernelValue(f"/cgroup/{target.container}/{resource}", str(value), value)

    def _require_reachable(self) -> None:
        if not self.reachable:
            raise UnavailableError("the platform does not answer")


@dataclass
class Truth:
    """An observer that says what the test says; by default a forecast of twice the limit, due soon."""

    seen: Observation = SEEN
    asked: int = 0
    fails: Exception | None = None

    def say(self, **changes: Any) -> None:
        self.seen = replace(self.seen, **changes)

    def observe(self, order: Order, at: float) -> Observation:
        self.asked += 1
        if self.fails is not None:
            raise self.fails
        return replace(self.seen, at=at)


@dataclass
class World:
    """A whole actuator but for its threads and sockets."""

    config: Config
    clock: Clock
    kernel: Kernel
    truth: Truth
    service: Service

    def post(self, *alerts: dict[str, Any], **fields: Any) -> int:
        body = {
            "version": "4",
            "status": "firing",
            "receiver": "cpp",
            "groupKey": "g",
            "alerts": list(alerts),
            **fields,
        }
        headers = {"Authorization": "Bearer secret"}
        return self.service.app.test_client().post("/alerts", json=body, headers=headers).status_code

    def watchdog(self) -> int:
        return self.post({"labels": {"alertname": "CppWatchdog", "cluster": "lab", "severity": "none"}})

    def work(self) -> None:
        """Twice, since what one pass has in hand keeps other work on the same container for the next."""
        for _ in range(2):
            self.service.worker.run_once()
            self.service.worker.settle()

    def actions(self) -> list[dict[str, Any]]:
        return self.service.app.test_client().get("/actions").get_json()["actions"]

    def action(self) -> dict[str, Any]:
        (action,) = self.actions()
        return action

    def steps(self) -> list[dict[str, Any]]:
        return [step for action in self.actions() for decision in action["decisions"] for step in decision["steps"]]

    def metrics(self) -> str:
        return self.service.app.test_client().get("/metrics").get_data(as_text=True)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger_directory(tmp_path: Path) -> Iterator[Path]:
    """In memory where that can be had: each commit waits for the disk otherwise."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as directory:
        yield Path(directory)


@pytest.fixture
def settings(tmp_path: Path, ledger_directory: Path) -> dict[str, Any]:
    (tmp_path / "token").write_text("secret\n")
    return {
        "cluster": "lab",
        "dry_run": False,
        "webhook": {"token_file": tmp_path / "token"},
        "ledger": {"path": ledger_directory / "ledger.sqlite"},
        "limits": {"start_up_grace": "1s"},
    }


@pytest.fixture
def make_world(settings: dict[str, Any], clock: Clock) -> Iterator[Callable[..., World]]:
    made: list[World] = []

    def make(**changes: Any) -> World:
        config = Config.model_validate(settings | changes)
        kernel = made[-1].kernel if made else Kernel()
        truth = made[-1].truth if made else Truth()
        world = World(
            config, clock, kernel, truth, build(config, Outside(kernel, Executor(kernel), truth), None, clock)
        )
        made.append(world)
        return world

    yield make
    for world in made:
        world.service.ledger.close()


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    world = make_world()
    world.kernel.add("web", 1.0, GIB)
    world.watchdog()
    return world


@pytest.fixture
def make_alert() -> Callable[..., dict[str, Any]]:
    def make(intent: str | None = "reserve", container: str = "web", **changes: Any) -> dict[str, Any]:
        labels = {
            "alertname": f"Cpp{(intent or 'note').title()}",
            "cluster": "lab",
            "severity": "info",
            "node": "n1",
            "namespace": "",
            "pod": "",
            "container": container,
            "container_id": f"id-of-{container}",
            "resource": "cpu",
        } | ({"intent": intent} if intent else {})
        labels |= changes.pop("labels", {})
        alert = {
            "status": "firing",
            "labels": labels,
            "annotations": {"description": f"{container} will need more."},
            "startsAt": "2026-01-01T00:00:00Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "",
            "fingerprint": f"{intent}-{container}-{labels['resource']}",
        }
        return alert | changes

    return make
