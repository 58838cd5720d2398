"""Limits as the kernel holds them: cgroup v1 and v2 files, found through ``/proc/<pid>/cgroup``."""

from dataclasses import dataclass
from pathlib import Path

from actuator.model.knowledge import KernelValue
from actuator.platforms.errors import UnavailableError

# v1 has no word for "no memory limit": it shows the largest number of whole pages (2^63 less one page of 4 or 64 KiB).
_UNLIMITED_BYTES = 2.0**62

_V1_FILES = {"cpu": "cpu.cfs_quota_us", "memory": "memory.limit_in_bytes"}
_V2_FILES = {"cpu": "cpu.max", "memory": "memory.max"}
_USAGE_FILES = ("memory.usage_in_bytes", "memory.current")


@dataclass(frozen=True)
class Cgroups:
    """Reads below two roots, so that tests can bring their own."""

    cgroup_root: Path = Path("/sys/fs/cgroup")
    proc_root: Path = Path("/proc")

    def limit(self, pid: int, resource: str) -> KernelValue:
        """Return the limit of ``cpu`` in cores or ``memory`` in bytes of the cgroup that holds the process.

        Raises UnavailableError where a file is missing or makes no sense: a process that ended may be one of a
        container that restarts, so nothing here says that the container is gone.
        """
        folder = self._folder(pid, resource)
        v1, v2 = folder / _V1_FILES[resource], folder / _V2_FILES[resource]
        file = v1 if v1.exists() else v2
        raw = _read(file)
        try:
            return KernelValue(str(file), raw, _parse(file, raw))
        except (ValueError, IndexError) as e:
            raise UnavailableError(f"{file} holds {raw!r}, which is no limit") from e

    def memory_usage(self, pid: int) -> float:
        """Return all bytes charged to the cgroup, page cache included; raises as ``limit`` does."""
        folder = self._folder(pid, "memory")
        for name in _USAGE_FILES:
            if (folder / name).exists():
                return float(_read(folder / name))
        raise UnavailableError(f"{folder} has no memory usage: the process has ended or its files are not mounted here")

    def _folder(self, pid: int, resource: str) -> Path:
        """A v1 line is ``4:cpu,cpuacct:/path``; the v2 line is ``0::/path`` and counts where no v1 controller does."""
        unified = None
        for line in _read(self.proc_root / str(pid) / "cgroup").splitlines():
            _, controllers, path = line.split(":", 2)
            if resource in controllers.split(","):
                return self._v1_mount(controllers, resource) / path.lstrip("/")
            if not controllers:
                unified = path
        if unified is None:
            raise UnavailableError(f"process {pid} is in no cgroup with a {resource} controller")
        return self.cgroup_root / unified.lstrip("/")

    def _v1_mount(self, controllers: str, resource: str) -> Path:
        joint = self.cgroup_root / controllers
        return joint if joint.exists() else self.cgroup_root / resource


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except (FileNotFoundError, ProcessLookupError) as e:
        raise UnavailableError(f"{file} does not exist: the process has ended or the file is not mounted here") from e
    except OSError as e:
        raise UnavailableError(f"{file} cannot be read: {e.strerror}") from e


def _parse(file: Path, raw: str) -> float | None:
    if file.name == "cpu.cfs_quota_us":
        quota = int(raw)
        return None if quota < 0 else quota / int(_read(file.with_name("cpu.cfs_period_us")))
    if file.name == "cpu.max":
        quota_text, period = raw.split()
        return None if quota_text == "max" else int(quota_text) / int(period)
    return None if raw == "max" or int(raw) >= _UNLIMITED_BYTES else float(raw)
