"""What the kernel says of a container's limits: cgroup files, version 1 and 2."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_UNLIMITED_V1 = 1 << 62


@dataclass(frozen=True)
class LimitFiles:
    """Where a container's limits stand in the kernel."""

    cpu: Path
    memory: Path

    def path(self, resource: str) -> Path:
        """Return the file that holds the limit of ``resource`` (``cpu`` or ``memory``)."""
        return self.cpu if resource == "cpu" else self.memory

    def read(self, resource: str) -> float | None:
        """Return the limit in cores or bytes, None where none is set."""
        return _cpu_limit(self.cpu) if resource == "cpu" else _memory_limit(self.memory)

    def memory_used(self) -> float:
        """Return the bytes charged to the container."""
        name = "memory.current" if self.memory.name == "memory.max" else "memory.usage_in_bytes"
        return float((self.memory.parent / name).read_text())

    def throttled(self) -> tuple[int, int]:
        """Return (periods, throttled periods) since the container began."""
        lines = (self.cpu.parent / "cpu.stat").read_text().splitlines()
        stat = {key: int(value) for key, value in (line.split() for line in lines)}
        return stat["nr_periods"], stat["nr_throttled"]


def raw_limit(file: Path) -> int | str:
    """Return what the file holds, as a number where it is one."""
    text = file.read_text().strip()
    return int(text) if text.lstrip("-").isdigit() else text


def limit_files(pid: int) -> LimitFiles:
    """Return the limit files of the cgroup that process ``pid`` is in."""
    places = dict(_cgroups(pid))
    if "cpu" in places and "memory" in places:
        return LimitFiles(places["cpu"] / "cpu.cfs_quota_us", places["memory"] / "memory.limit_in_bytes")
    return LimitFiles(places[""] / "cpu.max", places[""] / "memory.max")


def _cgroups(pid: int) -> Iterator[tuple[str, Path]]:
    """Yield (controller, directory); the unified hierarchy's controller is the empty text."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            for mount in (Path("/sys/fs/cgroup") / (controllers or "."), Path("/sys/fs/cgroup") / controller):
                if (directory := mount / path.lstrip("/")).is_dir():
                    yield controller, directory
                    break


def _cpu_limit(file: Path) -> float | None:
    if file.name == "cpu.max":
        quota, period = file.read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    quota_v1 = int(file.read_text())
    period_v1 = int((file.parent / "cpu.cfs_period_us").read_text())
    return None if quota_v1 <= 0 else quota_v1 / period_v1


def _memory_limit(file: Path) -> float | None:
    text = file.read_text().strip()
    return None if text == "max" or int(text) >= _UNLIMITED_V1 else float(text)
