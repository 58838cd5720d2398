from pathlib import Path
from typing import Any

import pytest

from actuator.model.orders import Target
from actuator.platforms.cgroup import Cgroups
from actuator.platforms.docker import DockerPlatform
from actuator.platforms.engine import Engine, error_of
from actuator.platforms.errors import (
    ConflictError,
    GoneError,
    PlatformError,
    RejectedError,
    StoppedError,
    UnavailableError,
)

MIB = 2**20
ID = "c" * 64
JSON = f"/containers/{ID}/json"
UPDATE = f"/containers/{ID}/update"


@pytest.fixture
def platform(engine_stub: Any, tree: Any, tmp_path: Path) -> DockerPlatform:
    tree.v1()
    return DockerPlatform(Engine(str(tmp_path / "docker.sock"), timeout=10), Cgroups(tree.cgroup, tree.proc))


def test_what_a_container_has_comes_from_the_kernel(engine_stub: Any, platform: DockerPlatform, target: Target) -> None:
    engine_stub.describe(NanoCpus=9_000_000_000, Memory=1)
    found = platform.inspect(target)
    assert found is not None
    assert (found.cpu_limit, found.memory_limit, found.memory_usage) == (0.5, 100 * MIB, 50 * MIB)
    assert (found.host_cpu, found.host_memory, found.running) == (8.0, 800 * MIB, True)
    assert (found.opted_out, found.managed_by, found.own_part) == (False, "", False)
    assert found.started_at == pytest.approx(1795351717.161206)


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        ({"cpp.opt-out": "true"}, (True, "", False)),
        ({"cpp.opt-out": "False"}, (True, "", False)),
        ({"cpp.opt-out": "false"}, (False, "", False)),
        ({"com.docker.swarm.service.name": "web"}, (False, "swarm service web", False)),
        ({"com.docker.swarm.service.id": "x1"}, (False, "swarm service x1", False)),
        ({"cpp.part": "demo"}, (False, "", True)),
        (None, (False, "", False)),
    ],
)
def test_labels_say_who_is_to_be_left_alone(
    engine_stub: Any,
    platform: DockerPlatform,
    target: Target,
    described: Any,
    labels: Any,
    found: tuple[bool, str, bool],
) -> None:
    answer = described()
    answer["Config"]["Labels"] = labels
    engine_stub.answer("GET", JSON, 200, answer)
    engine_stub.describe()
    seen = platform.inspect(target)
    assert seen is not None
    assert (seen.opted_out, seen.managed_by, seen.own_part) == found


@pytest.mark.parametrize(
    ("programs", "own"),
    [
        (("prom/prometheus:v3", "/bin/run"), True),
        (("quay.io/prometheus/alertmanager", "/bin/run"), True),
        (("gcr.io/cadvisor/cadvisor:v0.49", "/usr/bin/cadvisor"), True),
        (("sha256:abc", "/opt/bin/cpp-exporter"), True),
        (("shop/prometheusque", "/bin/web"), False),
        (("shop/web", "/usr/bin/python3"), False),
        (("cpp-samples/game", "/bin/game"), False),
    ],
)
def test_own_parts_are_known_by_image_or_command(
    engine_stub: Any, platform: DockerPlatform, target: Target, described: Any, programs: tuple[str, str], own: bool
) -> None:
    answer = described()
    answer["Config"]["Image"], answer["Path"] = programs
    engine_stub.answer("GET", JSON, 200, answer)
    engine_stub.describe()
    found = platform.inspect(target)
    assert found is not None
    assert found.own_part is own


def test_a_stopped_container_does_not_run_and_an_unknown_one_is_none(
    engine_stub: Any, platform: DockerPlatform, target: Target, described: Any
) -> None:
    stopped = described() | {"State": {"Running": False, "Pid": 0, "StartedAt": "0001-01-01T00:00:00Z"}}
    engine_stub.answer("GET", JSON, 200, stopped)
    engine_stub.describe()
    found = platform.inspect(target)
    assert found is not None
    assert (found.running, found.cpu_limit) == (False, None)
    assert platform.inspect(Target("n1", "", "", "other", "d" * 64)) is None


@pytest.mark.parametrize("missing", ["proc/42/cgroup", f"cgroup/cpu/docker/{ID}/cpu.cfs_quota_us"])
def test_a_process_that_ended_between_engine_and_kernel_does_not_make_its_container_gone(
    engine_stub: Any, platform: DockerPlatform, target: Target, tmp_path: Path, missing: str
) -> None:
    engine_stub.describe()
    (tmp_path / missing).unlink()
    with pytest.raises(UnavailableError):
        platform.inspect(target)


def test_the_limit_of_a_stopped_container_cannot_be_read_yet(
    engine_stub: Any, platform: DockerPlatform, target: Target, described: Any
) -> None:
    stopped = described() | {"State": {"Running": False, "Pid": 0, "StartedAt": "0001-01-01T00:00:00Z"}}
    engine_stub.answer("GET", JSON, 200, stopped)
    with pytest.raises(StoppedError):
        platform.kernel_value(target, "cpu")
    with pytest.raises(GoneError):
        platform.kernel_value(Target("n1", "", "", "other", "d" * 64), "cpu")


@pytest.mark.parametrize(
    ("created", "cores", "sent"),
    [
        ({}, 0.5, {"CpuPeriod": 100_000, "CpuQuota": 50_000}),
        ({}, None, {"CpuQuota": -1}),
        ({}, 0.000001, {"CpuPeriod": 100_000, "CpuQuota": 1_000}),
        ({"CpuPeriod": 80_000, "CpuQuota": 40_000}, 0.75, {"CpuPeriod": 80_000, "CpuQuota": 60_000}),
        ({"CpuQuota": -1}, 2.0, {"CpuPeriod": 100_000, "CpuQuota": 200_000}),
        ({"NanoCpus": 500_000_000}, 0.7, {"NanoCpus": 700_000_000}),
        ({"NanoCpus": 500_000_000}, 0.000001, {"NanoCpus": 10_000_000}),
    ],
)
def test_cpu_is_set_in_the_family_that_the_container_was_created_with(
    engine_stub: Any, platform: DockerPlatform, target: Target, created: dict[str, int], cores: float | None, sent: Any
) -> None:
    engine_stub.describe(**created)
    platform.set_limit(target, "cpu", cores)
    assert engine_stub.updates == [sent]


@pytest.mark.parametrize(
    ("created", "mebibytes", "sent"),
    [
        ({"Memory": 100 * MIB, "MemorySwap": 200 * MIB}, 150, {"Memory": 150 * MIB, "MemorySwap": 250 * MIB}),
        ({"Memory": 100 * MIB, "MemorySwap": 100 * MIB}, 60, {"Memory": 60 * MIB, "MemorySwap": 60 * MIB}),
        ({"Memory": 100 * MIB, "MemorySwap": -1}, 60, {"Memory": 60 * MIB, "MemorySwap": -1}),
        ({}, 60, {"Memory": 60 * MIB, "MemorySwap": -1}),
    ],
)
def test_memory_is_set_with_the_swap_beyond_it_unchanged(
    engine_stub: Any, platform: DockerPlatform, target: Target, created: dict[str, int], mebibytes: int, sent: Any
) -> None:
    engine_stub.describe(**created)
    platform.set_limit(target, "memory", float(mebibytes * MIB))
    assert engine_stub.updates == [sent]


@pytest.mark.parametrize(
    ("created", "change", "why"),
    [
        ({"NanoCpus": 1}, ("cpu", None), "--cpus"),
        ({"Memory": 1}, ("memory", None), "cannot take a memory limit away"),
        ({"Memory": 1}, ("memory", 49.0 * MIB), "in use"),
    ],
)
def test_what_docker_cannot_do_or_would_kill_is_refused_before_it_is_asked(
    engine_stub: Any, platform: DockerPlatform, target: Target, created: dict[str, int], change: Any, why: str
) -> None:
    engine_stub.describe(**created)
    with pytest.raises(RejectedError, match=why):
        platform.set_limit(target, *change)
    assert engine_stub.updates == []


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (404, "No such container: x", GoneError),
        (404, "page not found", RejectedError),
        (500, "Cannot update container x: Container x is not running", StoppedError),
        (409, "Container x is restarting", ConflictError),
        (500, "Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set", ConflictError),
        (400, "Range of CPUs is from 0.01 to 2.00", RejectedError),
        (500, "runc did not terminate successfully: exit status 1", RejectedError),
        (500, "context deadline exceeded", UnavailableError),
        (503, "", UnavailableError),
    ],
)
def test_each_answer_of_the_engine_has_its_kind(status: int, message: str, kind: type[PlatformError]) -> None:
    error = error_of(status, message)
    assert type(error) is kind
    assert str(error)


def test_reads_are_tried_again(engine_stub: Any, platform: DockerPlatform, target: Target) -> None:
    engine_stub.answer("GET", JSON, 500, {"message": "busy"})
    engine_stub.answer("GET", JSON, 0, b"")
    engine_stub.describe()
    assert platform.inspect(target) is not None


def test_reads_are_not_tried_for_ever(engine_stub: Any, platform: DockerPlatform, target: Target) -> None:
    engine_stub.answer("GET", JSON, 503, {"message": "busy"})
    with pytest.raises(UnavailableError, match="busy"):
        platform.inspect(target)
    assert len(engine_stub.requests) == 3


@pytest.mark.parametrize(("status", "body"), [(0, b""), (500, {"message": "busy"}), (200, b"<html>")])
def test_writes_are_never_tried_again(
    engine_stub: Any, platform: DockerPlatform, target: Target, status: int, body: Any
) -> None:
    engine_stub.answer("POST", UPDATE, status, body)
    engine_stub.describe()
    with pytest.raises(UnavailableError):
        platform.set_limit(target, "cpu", 0.7)
    assert len(engine_stub.updates) == 1


@pytest.mark.parametrize("body", [b"not json", b"[]", b"{}", {"State": {"Running": "perhaps"}}])
def test_garbage_from_the_engine_is_unavailable(
    engine_stub: Any, platform: DockerPlatform, target: Target, body: Any
) -> None:
    engine_stub.answer("GET", JSON, 200, body)
    with pytest.raises(UnavailableError):
        platform.inspect(target)


def test_a_socket_that_is_not_there_is_unavailable(tmp_path: Path, target: Target) -> None:
    platform = DockerPlatform(Engine(str(tmp_path / "none.sock"), timeout=1), Cgroups())
    with pytest.raises(UnavailableError, match=r"none\.sock"):
        platform.inspect(target)


@pytest.mark.parametrize("api", ["1.40", "1.52"])
def test_the_engines_own_version_is_spoken_and_asked_for_once(
    engine_stub: Any, platform: DockerPlatform, target: Target, api: str
) -> None:
    engine_stub.api = api
    engine_stub.describe()
    assert platform.inspect(target) is not None
    assert platform.inspect(target) is not None
    assert engine_stub.asked_for_api == 1


def test_an_engine_that_was_replaced_by_one_of_another_version_is_asked_anew(
    engine_stub: Any, platform: DockerPlatform, target: Target
) -> None:
    engine_stub.describe()
    platform.inspect(target)
    engine_stub.api = "1.52"
    with pytest.raises(RejectedError, match="client version"):
        platform.inspect(target)
    assert platform.inspect(target) is not None


@pytest.mark.parametrize("api", [None, "", "../info?"])
def test_an_engine_that_does_not_say_its_version_is_unavailable(
    engine_stub: Any, platform: DockerPlatform, target: Target, api: Any
) -> None:
    engine_stub.api = api
    with pytest.raises(UnavailableError, match="ApiVersion"):
        platform.inspect(target)


def test_an_identity_cannot_reach_another_path_of_the_engine(engine_stub: Any, platform: DockerPlatform) -> None:
    assert platform.inspect(Target("n1", "", "", "x", "../info?x=")) is None
    assert engine_stub.requests[0][1] == "/containers/..%2Finfo%3Fx%3D/json"
