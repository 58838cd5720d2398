"""Docker: limits read from the kernel and set over the Engine API, on containers however they were created."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from actuator.model import Allocation, KernelValue, Target
from actuator.platforms.cgroup import Cgroups
from actuator.platforms.engine import Engine
from actuator.platforms.errors import GoneError, RejectedError

_PERIOD = 100_000
_LEAST_QUOTA = 1_000
_LEAST_MEMORY = 6 * 2**20
_OPT_OUT = "cpp.opt-out"
_OWN_LABEL = "cpp.part"
_OWN_NAMES = re.compile(r"(cpp-(exporter|probe|actuator)|prometheus|alertmanager|cadvisor)\b")
_SWARM_SERVICE = "com.docker.swarm.service.name"
_SWARM_SERVICE_ID = "com.docker.swarm.service.id"


class DockerPlatform:
    """One engine and the kernel under it."""

    name = "docker"

    def __init__(self, engine: Engine, cgroups: Cgroups) -> None:
        self._engine, self._cgroups = engine, cgroups

    def inspect(self, target: Target) -> Allocation | None:
        """Return what the container has now; limits and usage come from the kernel. Raises PlatformError."""
        try:
            container = self._engine.container(target.container_id)
            host = self._engine.info()
            pid = _pid(container)
            cpu = self._cgroups.limit(pid, "cpu").limit if pid else None
            memory = self._cgroups.limit(pid, "memory").limit if pid else None
            usage = self._cgroups.memory_usage(pid) if pid else 0.0
        except GoneError:
            return None
        return Allocation(
            cpu_limit=cpu, memory_limit=memory, memory_usage=usage,
            host_cpu=float(host["NCPU"]), host_memory=float(host["MemTotal"]),
            running=pid is not None,
            opted_out=_labels(container).get(_OPT_OUT, "false") != "false",
            managed_by=_manager(container),
            own_part=_own_part(container),
            started_at=_epoch(container["State"]["StartedAt"]),
        )  # fmt: skip

    def set_limit(self, target: Target, resource: str, value: float | None) -> None:
        """Set the limit of ``cpu`` (cores) or ``memory`` (bytes); None takes a CPU limit away. Raises PlatformError."""
        container = self._engine.container(target.container_id)
        if manager := _manager(container):
            raise RejectedError(f"the limits belong to {manager}")
        change = _cpu_change if resource == "cpu" else _memory_change
        self._engine.update(target.container_id, change(container["HostConfig"], value))

    def kernel_value(self, target: Target, resource: str) -> KernelValue:
        """Read the limit in force from the container's cgroup. Raises PlatformError."""
        pid = _pid(self._engine.container(target.container_id))
        if pid is None:
            raise GoneError(f"container {target.container} is not running")
        return self._cgroups.limit(pid, resource)


def _cpu_change(host_config: Mapping[str, Any], cores: float | None) -> Mapping[str, int]:
    """Stay in the family that the container was created with.

    A quota on top of ``NanoCpus`` is accepted by Docker 20.10 and wins at the next restart, and ``NanoCpus`` on a
    container without any limit bars quotas for life.
    """
    if host_config.get("NanoCpus"):
        if cores is None:
            raise RejectedError("created with --cpus: Docker cannot take such a limit away, only change it")
        return {"NanoCpus": max(round(cores * 1e9), _LEAST_QUOTA * 10**9 // _PERIOD)}
    if cores is None:
        return {"CpuQuota": -1}
    period = host_config.get("CpuPeriod") or _PERIOD
    return {"CpuPeriod": period, "CpuQuota": max(round(cores * period), _LEAST_QUOTA)}


def _memory_change(host_config: Mapping[str, Any], size: float | None) -> Mapping[str, int]:
    """Give the swap limit along, as Docker asks, and leave the container as much swap beyond its memory as it had."""
    if size is None:
        raise RejectedError("Docker cannot take a memory limit away from a running container")
    memory = max(round(size), _LEAST_MEMORY)
    held, swap = host_config.get("Memory") or 0, host_config.get("MemorySwap") or -1
    return {"Memory": memory, "MemorySwap": -1 if swap < 0 else memory + max(swap - held, 0)}


def _pid(container: Mapping[str, Any]) -> int | None:
    state = container["State"]
    return int(state["Pid"]) if state["Running"] and state["Pid"] else None


def _labels(container: Mapping[str, Any]) -> Mapping[str, str]:
    return container["Config"].get("Labels") or {}


def _manager(container: Mapping[str, Any]) -> str:
    labels = _labels(container)
    service = labels.get(_SWARM_SERVICE) or labels.get(_SWARM_SERVICE_ID)
    return f"swarm service {service}" if service else ""


def _own_part(container: Mapping[str, Any]) -> bool:
    """By label, or by the last part of the image's or the command's name."""
    if _OWN_LABEL in _labels(container):
        return True
    programs = (container["Config"].get("Image", ""), container.get("Path", ""))
    return any(_OWN_NAMES.match(program.rsplit("/", 1)[-1]) for program in programs)


def _epoch(text: str) -> float:
    """Docker writes nanoseconds, which ``fromisoformat`` does not read."""
    return datetime.fromisoformat(re.sub(r"\.(\d{1,6})\d*", r".\1", text).replace("Z", "+00:00")).timestamp()
