"""Limits of real containers on the real Docker, compared with the files of the kernel."""

import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from actuator.decide import Limits, decide, restore
from actuator.execute import Executor
from actuator.model.decisions import Plan, Refusal, Step, StepState
from actuator.model.knowledge import Allocation, Memory, Observation, OwnerLimits
from actuator.model.orders import Intent, Order, OrderState, Target
from actuator.platforms.cgroup import Cgroups
from actuator.platforms.docker import DockerPlatform
from actuator.platforms.engine import Engine
from actuator.platforms.errors import RejectedError

MIB = 2**20
RUN = f"limits-test-{uuid.uuid4().hex[:8]}"

Start = Callable[..., Target]


def docker(*arguments: str, stdin: bytes | None = None) -> str:
    done = subprocess.run(["docker", *arguments], input=stdin, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr.decode()}"
    return done.stdout.decode().strip()


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    root = tmp_path_factory.mktemp("image")
    (root / "bin").mkdir()
    (root / "bin/busybox").write_bytes(Path("/bin/busybox").read_bytes())
    (root / "bin/busybox").chmod(0o755)
    (root / "bin/sh").symlink_to("busybox")
    archive = subprocess.run(["tar", "-C", str(root), "-c", "."], capture_output=True, check=True, timeout=60).stdout
    docker("import", "-", RUN, stdin=archive)
    yield RUN
    docker("rmi", "--force", RUN)


@pytest.fixture
def start(image: str) -> Iterator[Start]:
    names = []

    def run(*options: str, script: str = "exec busybox sleep 300") -> Target:
        name = f"{RUN}-{len(names)}"
        names.append(name)
        container = docker("run", "--detach", "--name", name, *options, image, "/bin/sh", "-c", script)
        return Target("host", "", "", name, container)

    yield run
    for name in names:
        docker("rm", "--force", name)


@pytest.fixture
def cgroup_parent() -> Iterator[str]:
    yield f"{RUN}/inner"
    folders = list(Path("/sys/fs/cgroup").glob(f"**/{RUN}/inner"))
    for folder in folders:
        folder.rmdir()
        folder.parent.rmdir()


@pytest.fixture
def platform() -> DockerPlatform:
    return DockerPlatform(Engine("/var/run/docker.sock", timeout=10), Cgroups())


@pytest.fixture
def executor(platform: DockerPlatform) -> Executor:
    return Executor(platform)


def kernel(target: Target, v1: str, v2: str) -> str:
    """Another way to the kernel's file than the platform's: the folder is found by the container's id."""
    found = [
        folder / name
        for root, name in ((Path("/sys/fs/cgroup", v1.split(".", maxsplit=1)[0]), v1), (Path("/sys/fs/cgroup"), v2))
        for folder in root.glob(f"**/*{target.container_id}*")
        if (folder / name).is_file()
    ]
    assert len(found) == 1, f"no single {v1} or {v2} for {target.container}: {found}"
    return found[0].read_text().strip()


def quota(target: Target) -> float | None:
    text = kernel(target, "cpu.cfs_quota_us", "cpu.max")
    if text in ("-1", "max 100000"):
        return None
    period = text.split()[1] if " " in text else kernel(target, "cpu.cfs_period_us", "cpu.max")
    return int(text.split()[0]) / int(period)


def memory(target: Target) -> int:
    return int(kernel(target, "memory.limit_in_bytes", "memory.max"))


def swap_beyond(target: Target) -> int | None:
    text = kernel(target, "memory.memsw.limit_in_bytes", "memory.swap.max")
    if text == "max" or int(text) > 2**62:
        return None
    return int(text) - (0 if Path("/sys/fs/cgroup/cgroup.controllers").exists() else memory(target))


def allocation(platform: DockerPlatform, target: Target) -> Allocation:
    found = platform.inspect(target)
    assert found is not None
    return found


def order(target: Target, intent: Intent, resource: str) -> Order:
    return Order(1, target, resource, intent, "CppTest", "info", "", OrderState.OPEN, 0.0, 0.0)


@pytest.mark.parametrize(
    ("options", "created"),
    [
        (("--cpus", "0.5"), 0.5),
        (("--cpu-quota", "40000", "--cpu-period", "80000"), 0.5),
        (("--cpu-quota", "50000"), 0.5),
        ((), None),
    ],
    ids=["cpus", "quota-and-period", "quota", "none"],
)
def test_cpu_is_raised_lowered_and_restored_however_the_container_was_created(
    start: Start, platform: DockerPlatform, executor: Executor, options: tuple[str, ...], created: float | None
) -> None:
    target = start(*options)
    assert allocation(platform, target).cpu_limit == created
    previous = created
    for cores in (0.7, 0.123, created):
        outcome = executor.apply(target, Step("set_limit", "cpu", previous, cores))
        assert outcome.state is StepState.DONE, outcome.error
        assert quota(target) == (cores if cores is None else pytest.approx(cores, abs=1e-4))
        previous = cores


@pytest.mark.parametrize("options", [("--cpus", "0.5"), ("--cpu-quota", "50000"), ()], ids=["cpus", "quota", "none"])
def test_a_changed_cpu_limit_survives_a_restart_of_the_container(
    start: Start, executor: Executor, platform: DockerPlatform, options: tuple[str, ...]
) -> None:
    target = start(*options)
    before = allocation(platform, target).cpu_limit
    assert executor.apply(target, Step("set_limit", "cpu", before, 0.3)).state is StepState.DONE
    docker("restart", "--time", "0", target.container)
    assert quota(target) == pytest.approx(0.3)


def test_taking_away_a_limit_made_by_cpus_is_refused_and_changes_nothing(start: Start, executor: Executor) -> None:
    target = start("--cpus", "0.5")
    outcome = executor.apply(target, Step("set_limit", "cpu", 0.5, None))
    assert outcome.state is StepState.REVERTED
    assert "--cpus" in outcome.error
    assert quota(target) == 0.5


def test_more_cpus_than_the_host_has_are_refused_and_the_old_limit_stays(start: Start, executor: Executor) -> None:
    target = start("--cpus", "0.5")
    outcome = executor.apply(target, Step("set_limit", "cpu", 0.5, 4096.0))
    assert outcome.state is StepState.REVERTED
    assert "Range of CPUs" in outcome.error
    assert quota(target) == 0.5


@pytest.mark.parametrize(
    ("options", "swap"),
    [((), 64 * MIB), (("--memory-swap", "64m"), 0), (("--memory-swap", "-1"), None)],
    ids=["default-swap", "no-swap", "unlimited-swap"],
)
def test_memory_is_raised_lowered_and_restored_and_its_swap_stays_as_it_was(
    start: Start, executor: Executor, options: tuple[str, ...], swap: int | None
) -> None:
    target = start("--memory", "64m", *options)
    for before, after in ((64, 96), (96, 48), (48, 64)):
        outcome = executor.apply(target, Step("set_limit", "memory", before * MIB, after * MIB))
        assert outcome.state is StepState.DONE, outcome.error
        assert (memory(target), swap_beyond(target)) == (after * MIB, swap)


def test_memory_is_never_set_below_usage(start: Start, platform: DockerPlatform, executor: Executor) -> None:
    target = start("--memory", "64m", script="busybox dd if=/dev/zero of=/dev/shm/x bs=1M count=30; busybox sleep 300")
    wait_for(lambda: allocation(platform, target).memory_usage > 29 * MIB, "30 MiB to be used")
    outcome = executor.apply(target, Step("set_limit", "memory", 64 * MIB, 20 * MIB))
    assert outcome.state is StepState.REVERTED
    assert "in use" in outcome.error
    assert memory(target) == 64 * MIB
    assert docker("inspect", "--format", "{{.State.OOMKilled}} {{.State.Running}}", target.container) == "false true"


def test_a_limit_that_someone_else_changed_is_left_alone(start: Start, executor: Executor) -> None:
    target = start("--cpus", "0.5")
    docker("update", "--cpus", "0.6", target.container)
    outcome = executor.apply(target, Step("set_limit", "cpu", 0.5, 0.8))
    assert outcome.state is StepState.REVERTED
    assert "someone else" in outcome.error
    assert quota(target) == 0.6


def test_a_step_found_started_after_a_crash_is_finished_once(start: Start, executor: Executor) -> None:
    target, step = start("--cpus", "0.5"), Step("set_limit", "cpu", 0.5, 0.8)
    assert executor.resume(target, step).state is StepState.DONE
    assert quota(target) == 0.8
    assert executor.resume(target, step).state is StepState.DONE
    docker("update", "--cpus", "0.6", target.container)
    assert executor.resume(target, step).state is StepState.FAILED
    assert quota(target) == 0.6


def test_what_the_owner_had_set_is_restored(start: Start, platform: DockerPlatform, executor: Executor) -> None:
    target = start("--cpus", "0.5", "--memory", "64m")
    owner = OwnerLimits(target, 0.5, 64 * MIB)
    for step in (Step("set_limit", "cpu", 0.5, 0.9), Step("set_limit", "memory", 64 * MIB, 128 * MIB)):
        assert executor.apply(target, step).state is StepState.DONE
    plan = restore(owner, allocation(platform, target), Limits())
    assert isinstance(plan, Plan)
    assert [executor.apply(target, step).state for step in plan.steps] == [StepState.DONE, StepState.DONE]
    assert (quota(target), memory(target)) == (0.5, 64 * MIB)
    assert isinstance(restore(owner, allocation(platform, target), Limits()), Refusal)


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ("cpp.opt-out=true", "opted_out"),
        ("cpp.opt-out=", "opted_out"),
        ("cpp.opt-out=no", "opted_out"),
        ("cpp.opt-out=false", None),
        ("com.docker.swarm.service.name=web", "managed"),
        ("cpp.part=exporter", "own_part"),
    ],
)
def test_labels_decide_who_is_left_alone(
    start: Start, platform: DockerPlatform, label: str, reason: str | None
) -> None:
    target = start("--cpus", "0.5", "--label", label)
    observation = Observation(time.time() + 3600, firing=True, sample_age=1.0, usage=0.5)
    answer = decide(order(target, Intent.RELIEVE, "cpu"), observation, allocation(platform, target), Memory(), Limits())
    assert (answer.reason if isinstance(answer, Refusal) else None) == reason


def test_the_platform_itself_refuses_a_container_of_a_swarm_service(start: Start, platform: DockerPlatform) -> None:
    target = start("--cpus", "0.5", "--label", "com.docker.swarm.service.name=web")
    with pytest.raises(RejectedError, match="swarm service web"):
        platform.set_limit(target, "cpu", 0.8)
    assert quota(target) == 0.5


def test_a_cgroup_parent_of_the_owner_is_found(cgroup_parent: str, start: Start, platform: DockerPlatform) -> None:
    target = start("--cpus", "0.5", "--cgroup-parent", f"/{cgroup_parent}")
    value = platform.kernel_value(target, "cpu")
    assert value.limit == quota(target) == 0.5
    assert f"/{cgroup_parent}/{target.container_id}/" in value.file


def test_a_stopped_container_is_not_running_and_a_removed_one_is_gone(
    start: Start, platform: DockerPlatform, executor: Executor
) -> None:
    target = start("--cpus", "0.5")
    docker("stop", "--time", "0", target.container)
    assert not allocation(platform, target).running
    assert executor.apply(target, Step("set_limit", "cpu", 0.5, 0.8)).state is StepState.REVERTED
    gone = Target("host", "", "", "nobody", "0" * 64)
    assert platform.inspect(gone) is None
    assert "No such container" in executor.apply(gone, Step("set_limit", "cpu", 0.5, 0.8)).error


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, f"waited 20 s in vain for {what}"
        time.sleep(0.1)
