from typing import Any

import pytest

from actuator.platforms.cgroup import Cgroups
from actuator.platforms.errors import UnavailableError

MIB = 2**20


def reader(tree: Any) -> Cgroups:
    return Cgroups(tree.cgroup, tree.proc)


def test_v1_limits_are_read_in_cores_and_bytes(tree: Any) -> None:
    tree.v1()
    assert reader(tree).limit(42, "cpu").limit == 0.5
    assert reader(tree).limit(42, "memory").limit == 100 * MIB
    assert reader(tree).limit(42, "cpu").raw == "50000"
    assert reader(tree).limit(42, "cpu").file.endswith("/cpu.cfs_quota_us")
    assert reader(tree).memory_usage(42) == 50 * MIB


def test_v1_without_limits_reads_as_none(tree: Any) -> None:
    tree.v1(quota=-1, memory=9223372036854771712)
    assert reader(tree).limit(42, "cpu").limit is None
    assert reader(tree).limit(42, "memory").limit is None


def test_v1_controllers_mounted_together_are_found(tree: Any) -> None:
    tree.member("4:cpu,cpuacct:/a", "0::/a")
    tree.write(tree.cgroup / "cpu,cpuacct/a/cpu.cfs_quota_us", "150000")
    tree.write(tree.cgroup / "cpu,cpuacct/a/cpu.cfs_period_us", "50000")
    assert reader(tree).limit(42, "cpu").limit == 3.0


@pytest.mark.parametrize(
    "path",
    ["/docker/abc", "/system.slice/docker-abc.scope", "/owner/parent/abc"],
    ids=["cgroupfs", "systemd", "parent"],
)
def test_v2_limits_are_read_wherever_the_driver_puts_the_container(tree: Any, path: str) -> None:
    tree.member(f"0::{path}")
    folder = tree.cgroup / path.lstrip("/")
    tree.write(folder / "cpu.max", "70000 100000")
    tree.write(folder / "memory.max", str(64 * MIB))
    tree.write(folder / "memory.current", str(10 * MIB))
    assert reader(tree).limit(42, "cpu").limit == 0.7
    assert reader(tree).limit(42, "memory").limit == 64 * MIB
    assert reader(tree).memory_usage(42) == 10 * MIB
    tree.write(folder / "cpu.max", "max 100000")
    tree.write(folder / "memory.max", "max")
    assert reader(tree).limit(42, "cpu").limit is None
    assert reader(tree).limit(42, "memory").limit is None


def test_a_process_that_ended_or_whose_files_are_not_mounted_is_unavailable_and_not_gone(tree: Any) -> None:
    with pytest.raises(UnavailableError, match="42/cgroup"):
        reader(tree).limit(42, "cpu")
    tree.member("0::/docker/abc")
    with pytest.raises(UnavailableError, match=r"cpu\.max"):
        reader(tree).limit(42, "cpu")
    with pytest.raises(UnavailableError, match="no memory usage"):
        reader(tree).memory_usage(42)


@pytest.mark.parametrize("text", ["", "max", "lots 100000", "1 2 3"])
def test_a_file_that_makes_no_sense_is_not_taken_for_a_limit(tree: Any, text: str) -> None:
    tree.member("0::/a")
    tree.write(tree.cgroup / "a/cpu.max", text)
    with pytest.raises(UnavailableError, match="no limit"):
        reader(tree).limit(42, "cpu")


def test_a_process_in_no_such_controller_is_unavailable(tree: Any) -> None:
    tree.member("3:pids:/a")
    with pytest.raises(UnavailableError, match="no cgroup"):
        reader(tree).limit(42, "cpu")
