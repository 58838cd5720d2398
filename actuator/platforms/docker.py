"""Docker: limits read from the kernel and set over the Engine API, on containers however they were created."""

from actuator.model.decisions import Notice
from actuator.model.knowledge import Allocation, KernelValue, OwnerLimits
from actuator.model.orders import Target
from actuator.platforms.cgroup import Cgroups
from actuator.platforms.container import Container, Host, HostConfig
from actuator.platforms.engine import Engine
from actuator.platforms.errors import GoneError, RejectedError, StoppedError

_PERIOD = 100_000  # the kernel's default, in microseconds
_LEAST_QUOTA = 1_000
_LEAST_NANO_CPUS = 10_000_000
_LEAST_MEMORY = 6 * 2**20


class DockerPlatform:
    """One engine and the kernel under it."""

    name = "docker"

    def __init__(self, engine: Engine, cgroups: Cgroups) -> None:
        self._engine, self._cgroups = engine, cgroups

    def inspect(self, target: Target) -> Allocation | None:
        """Return what the container has now, limits and usage as the kernel has them. Raises PlatformError."""
        try:
            container = self._engine.container(target.container_id)
        except GoneError:
            return None
        return self._allocation(container, self._engine.host())

    def set_limit(self, target: Target, resource: str, value: float | None) -> None:
        """Set the limit of ``cpu`` (cores) or ``memory`` (bytes); None takes a CPU limit away. Raises PlatformError."""
        container = self._engine.container(target.container_id)
        if container.managed_by:
            raise RejectedError(f"the limits belong to {container.managed_by}")
        if resource == "cpu":
            self._engine.update(target.container_id, _cpu_change(container.host_config, value))
        else:
            self._spare_pages_in_use(container, value)
            self._engine.update(target.container_id, _memory_change(container.host_config, value))

    def hold(self, target: Target, resource: str, amount: float) -> None:
        """Do nothing: on one host the ledger's entry is the hold."""

    def let_go(self, target: Target, resource: str) -> None:
        """Do nothing, as ``hold``."""

    def holding(self) -> None:
        """Return None, as ``hold``."""

    def withdraw(self, target: Target, resource: str) -> None:
        """Do nothing: what the Engine was asked for it has done, or refused."""

    def remembered(self) -> list[OwnerLimits]:
        """Return nothing: on one host only the ledger keeps that."""
        return []

    def forget(self, target: Target) -> None:
        """Do nothing, as ``remembered``."""

    def tell(self, target: Target, notice: Notice) -> None:
        """Do nothing: a container of Docker's has no place for it; log and ledger have it."""

    def kernel_value(self, target: Target, resource: str) -> KernelValue:
        """Read the limit in force from the container's cgroup. Raises PlatformError."""
        pid = self._engine.container(target.container_id).pid
        if pid is None:
            raise StoppedError(f"container {target.container} is not running")
        return self._cgroups.limit(pid, resource)

    def _allocation(self, container: Container, host: Host) -> Allocation:
        pid = container.pid
        return Allocation(
            cpu_limit=self._cgroups.limit(pid, "cpu").limit if pid else None,
            memory_limit=self._cgroups.limit(pid, "memory").limit if pid else None,
            memory_usage=self._cgroups.memory_usage(pid) if pid else 0.0,
            host_cpu=float(host.cpus),
            host_memory=float(host.memory),
            running=pid is not None,
            opted_out=container.opted_out,
            managed_by=container.managed_by,
            own_part=container.own_part,
            started_at=container.started_at,
        )

    def _spare_pages_in_use(self, container: Container, size: float | None) -> None:
        """Under cgroup v2 the kernel kills to get under a new limit, where v1 refuses it; so usage is asked last."""
        if container.pid is None or size is None:
            return
        usage = self._cgroups.memory_usage(container.pid)
        if size < usage:
            raise RejectedError(f"{size:.0f} bytes of memory would be less than the {usage:.0f} in use")


def _cpu_change(created: HostConfig, cores: float | None) -> dict[str, int]:
    """Stay in the family that the container was created with.

    A quota on top of ``NanoCpus`` is accepted by Docker 20.10 and wins at the next restart, and ``NanoCpus`` on a
    container without any limit bars quotas for life.
    """
    if created.nano_cpus:
        if cores is None:
            raise RejectedError("created with --cpus: Docker can change such a limit, but not take it away")
        return {"NanoCpus": max(round(cores * 1e9), _LEAST_NANO_CPUS)}
    if cores is None:
        return {"CpuQuota": -1}
    period = created.cpu_period or _PERIOD
    return {"CpuPeriod": period, "CpuQuota": max(round(cores * period), _LEAST_QUOTA)}


def _memory_change(created: HostConfig, size: float | None) -> dict[str, int]:
    """Give the swap limit along, as Docker asks, and leave the container as much swap beyond its memory as it had."""
    if size is None:
        raise RejectedError("Docker cannot take a memory limit away from a running container")
    memory = max(round(size), _LEAST_MEMORY)
    unlimited_swap = created.memory_swap <= 0
    return {"Memory": memory, "MemorySwap": -1 if unlimited_swap else memory + created.memory_swap - created.memory}
