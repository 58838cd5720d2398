import re
from importlib.resources import files
from pathlib import Path

import pytest

from exporter.probe.devices import disk_sectors, is_disk
from exporter.probe.protocols import protocol_of
from exporter.probe.syscalls import OVERFLOW, SyscallNames


@pytest.mark.parametrize(
    ("port", "protocol"),
    [(5432, "postgresql"), (3306, "mysql"), (6379, "redis"), (27017, "mongodb"), (9092, "kafka"), (5672, "amqp")],
)
def test_databases_and_brokers_are_known_by_their_ports(port: int, protocol: str) -> None:
    assert protocol_of(port) == protocol


def test_a_port_that_says_nothing_is_other() -> None:
    assert protocol_of(0) == protocol_of(49152) == "other"


def test_the_kernel_and_the_tables_agree_on_how_many_calls_there_are() -> None:
    shared = files("exporter.probe").joinpath("programs/counts.h").read_text()
    assert re.findall(r"#define CALLS (\d+)", shared) == [str(OVERFLOW + 1)]


@pytest.mark.parametrize(
    ("machine", "number", "name"),
    [("x86_64", 0, "read"), ("x86_64", 110, "getppid"), ("x86_64", 435, "clone3"), ("aarch64", 173, "getppid")],
)
def test_system_calls_have_the_names_of_their_architecture(machine: str, number: int, name: str) -> None:
    assert SyscallNames(machine)[number] == name


def test_numbers_without_a_name_stay_apart_and_those_past_the_end_are_other() -> None:
    names = SyscallNames("x86_64")
    assert (names[500], names[OVERFLOW]) == ("syscall_500", "other")


def test_an_unknown_architecture_has_numbers_for_names() -> None:
    assert SyscallNames("riscv64")[63] == "syscall_63"


def device(sysfs: Path, number: str, name: str) -> Path:
    holders = sysfs / "devices" / name / "holders"
    holders.mkdir(parents=True)
    (sysfs / number).symlink_to(sysfs / "devices" / name)
    return holders


def test_a_disk_under_another_device_is_not_counted_twice(tmp_path: Path) -> None:
    (device(tmp_path, "8:0", "sda") / "dm-0").touch()
    device(tmp_path, "252:3", "dm-0")
    assert not is_disk(8 << 20, tmp_path)
    assert is_disk((252 << 20) + 3, tmp_path)


def test_compressed_memory_is_no_disk_and_an_unknown_device_is(tmp_path: Path) -> None:
    device(tmp_path, "253:0", "zram0")
    assert not is_disk(253 << 20, tmp_path)
    assert is_disk(7 << 20, tmp_path)


def test_sectors_of_disks_are_kept() -> None:
    assert disk_sectors({"7,999": 8}) == {"7,999": 8}
