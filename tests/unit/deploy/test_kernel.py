from pathlib import Path

from deploy.demo.kernel import LimitFiles, limit_files, raw_limit


def v1(folder: Path, quota: str, memory: str) -> LimitFiles:
    (folder / "cpu.cfs_quota_us").write_text(quota)
    (folder / "cpu.cfs_period_us").write_text("100000")
    (folder / "memory.limit_in_bytes").write_text(memory)
    return LimitFiles(folder / "cpu.cfs_quota_us", folder / "memory.limit_in_bytes")


def v2(folder: Path, cpu: str, memory: str) -> LimitFiles:
    (folder / "cpu.max").write_text(cpu)
    (folder / "memory.max").write_text(memory)
    return LimitFiles(folder / "cpu.max", folder / "memory.max")


def test_limits_of_both_versions_are_cores_and_bytes(tmp_path: Path) -> None:
    for files in (v1(tmp_path, "35000", "1048576"), v2(tmp_path, "35000 100000", "1048576")):
        assert (files.read("cpu"), files.read("memory")) == (0.35, 1048576.0)


def test_no_limit_is_none_in_both_versions(tmp_path: Path) -> None:
    for files in (v1(tmp_path, "-1", str(2**63 - 4096)), v2(tmp_path, "max 100000", "max")):
        assert (files.read("cpu"), files.read("memory")) == (None, None)


def test_a_raw_limit_is_a_number_where_the_file_holds_one(tmp_path: Path) -> None:
    assert raw_limit(v1(tmp_path, "-1\n", "7\n").cpu) == -1
    assert raw_limit(v2(tmp_path, "max 100000\n", "7\n").cpu) == "max 100000"


def test_the_files_of_a_process_are_found_on_this_machine() -> None:
    files = limit_files(1)
    assert files.memory.parent.is_dir()
