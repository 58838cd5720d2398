"""Which block devices count as disks."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

_MINOR_BITS = 20
_IN_MEMORY = ("ram", "zram")


@cache
def is_disk(device: int, sysfs: Path = Path("/sys/dev/block")) -> bool:
    """Tell whether bytes queued on a kernel device number are bytes of a disk, counted here and nowhere else.

    A device that others are built on (a disk under LVM, RAID or encryption) sees the same bytes again, and
    compressed memory is no disk. An unknown device counts.
    """
    node = sysfs / f"{device >> _MINOR_BITS}:{device & ((1 << _MINOR_BITS) - 1)}"
    if node.resolve().name.startswith(_IN_MEMORY):
        return False
    try:
        return not any((node / "holders").iterdir())
    except OSError:
        return True


def disk_sectors(values: Mapping[str, int]) -> Mapping[str, int]:
    """Keep of ``"cgroup,device": sectors`` what was queued on disks."""
    return {key: sectors for key, sectors in values.items() if is_disk(int(key.partition(",")[2]))}
