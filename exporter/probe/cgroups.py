"""The cgroup2 hierarchy: which cgroup id is which container, and how much each was held up."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

_CONTAINER = re.compile(r"(?:^|-)[0-9a-f]{64}(?:\.scope)?$")
_MONITOR = "conmon"
_RESOURCES = ("cpu", "memory", "io")
_MICROSECONDS = 1e-6


class HierarchyError(Exception):
    """There is no cgroup2 hierarchy; the text says what to do."""


def find_hierarchy(root: Path) -> Path:
    """Return where cgroup2 is mounted: the root itself, or ``unified`` under it beside version 1."""
    for path in (root, root / "unified"):
        if (path / "cgroup.controllers").exists():
            return path
    raise HierarchyError(f"no cgroup2 hierarchy at {root} or {root}/unified: mount one, or name it by --cgroup.root")


def container_path(path: str) -> str | None:
    """Return the part of a cgroup path that is the innermost container, None for what is no container.

    Containers are directories named by 64 hexadecimal digits, alone (Docker, kubepods) or within a systemd
    scope (``docker-….scope``, ``cri-containerd-….scope``). Cgroups that a container makes belong to it.
    """
    parts = path.split("/")
    for end in range(len(parts), 0, -1):
        if _CONTAINER.search(parts[end - 1]) and _MONITOR not in parts[end - 1]:
            return "/".join(parts[:end])
    return None


class Hierarchy:
    """A mounted cgroup2 hierarchy. Paths are those of cAdvisor's ``id`` label: they start at the mount."""

    def __init__(self, mount: Path) -> None:
        self._mount = str(mount)

    def containers(self) -> dict[int, str]:
        """Return cgroup id → container path. The id is the inode of the cgroup's directory."""
        found = ((inode, container_path(path)) for inode, path in self._walk(""))
        return {inode: path for inode, path in found if path is not None}

    def own(self, told: Path = Path("/proc/self/cgroup")) -> int | None:
        """Return the id of this process's own cgroup, None where it is not in this hierarchy."""
        lines = told.read_text(encoding="utf-8").splitlines()
        paths = [line.removeprefix("0::") for line in lines if line.startswith("0::/")]
        try:
            return Path(self._mount + paths[0].rstrip("/")).stat().st_ino if paths else None
        except OSError:  # a namespace of its own, whose paths the mount does not have
            return None

    def _walk(self, path: str) -> Iterator[tuple[int, str]]:
        try:
            with os.scandir(self._mount + path) as entries:
                children = [(entry.inode(), f"{path}/{entry.name}") for entry in entries if entry.is_dir()]
        except OSError:  # the cgroup went away while we looked
            return
        for inode, child in children:
            yield inode, child
            yield from self._walk(child)

    def pressure(self, path: str) -> dict[tuple[str, str], float]:
        """Return (resource, ``some`` or ``full``) → seconds held up in all; what is not accounted is absent."""
        totals: dict[tuple[str, str], float] = {}
        for resource in _RESOURCES:
            try:
                text = Path(f"{self._mount}{path}/{resource}.pressure").read_text(encoding="ascii")
            except OSError:  # no PSI in this kernel, or the container ended
                continue
            totals |= {(resource, share): seconds for share, seconds in _parse_pressure(text)}
        return totals


def _parse_pressure(text: str) -> Iterator[tuple[str, float]]:
    for line in text.splitlines():
        share, _, rest = line.partition(" ")
        yield share, int(rest.rpartition("total=")[2]) * _MICROSECONDS
