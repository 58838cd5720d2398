from pathlib import Path

import pytest

from exporter.probe.cgroups import Hierarchy, HierarchyError, container_path, find_hierarchy

HEX = "0123456789abcdef" * 4
OTHER = "fedcba9876543210" * 4


def test_beside_version_1_the_hierarchy_is_the_unified_one(hybrid: Path) -> None:
    assert find_hierarchy(hybrid) == hybrid / "unified"


def test_on_pure_version_2_the_hierarchy_is_the_root(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu io memory")
    assert find_hierarchy(tmp_path) == tmp_path


def test_without_cgroup2_the_error_names_the_flag(tmp_path: Path) -> None:
    with pytest.raises(HierarchyError, match=r"--cgroup\.root"):
        find_hierarchy(tmp_path)


def test_only_containers_are_found_and_by_the_inode_of_their_directory(hybrid: Path, hierarchy: Hierarchy) -> None:
    inode = (hybrid / "unified/docker" / HEX).stat().st_ino
    assert hierarchy.containers() == {inode: f"/docker/{HEX}"}


def test_cgroups_within_a_container_belong_to_it(hybrid: Path, hierarchy: Hierarchy) -> None:
    (hybrid / "unified/docker" / HEX / "worker").mkdir()
    assert list(hierarchy.containers().values()) == [f"/docker/{HEX}"] * 2


def test_a_container_that_went_away_is_not_found(hybrid: Path, hierarchy: Hierarchy) -> None:
    directory = hybrid / "unified/docker" / HEX
    (directory / "cpu.pressure").unlink()
    directory.rmdir()
    assert hierarchy.containers() == {}


@pytest.mark.parametrize(
    ("path", "container"),
    [
        (f"/docker/{HEX}", f"/docker/{HEX}"),
        (f"/system.slice/docker-{HEX}.scope", f"/system.slice/docker-{HEX}.scope"),
        (f"/kubepods/burstable/pod1/{HEX}", f"/kubepods/burstable/pod1/{HEX}"),
        (f"/kubepods.slice/cri-containerd-{HEX}.scope/init", f"/kubepods.slice/cri-containerd-{HEX}.scope"),
        (f"/docker/{HEX}/docker/{OTHER}/x", f"/docker/{HEX}/docker/{OTHER}"),
        (f"/machine.slice/libpod-conmon-{HEX}.scope", None),
        ("/docker/buildkit/abc", None),
        ("/user.slice/user-0.slice", None),
        (f"/docker/{HEX}0", None),
    ],
)
def test_a_container_is_told_from_what_is_none(path: str, container: str | None) -> None:
    assert container_path(path) == container


def test_pressure_is_in_seconds_and_absent_where_not_accounted(hierarchy: Hierarchy) -> None:
    assert hierarchy.pressure(f"/docker/{HEX}") == {("cpu", "some"): 2.5, ("cpu", "full"): 1.0}
