"""What a node leaves on its host when it is ended in the middle: shims, mounts, networks of pods."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path


def end_shims(directory: Path) -> None:
    """End the shims of the containerds under ``directory`` and with them their containers."""
    for process, words in _commands():
        if words[0].endswith("containerd-shim-runc-v2") and f"{directory}/" in " ".join(words):
            for child in (*_descendants(process), process):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)


def unmount_under(directory: Path) -> None:
    """Unmount all that is mounted under ``directory``, the deepest first."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted((each for each in mounts if each.startswith(f"{directory}/")), key=len, reverse=True):
        subprocess.run(["umount", "--lazy", mount], capture_output=True, check=False)


def remove_networks(directory: Path) -> None:
    """Remove the network namespaces of pods that no container lives in any more, by the results CNI has kept."""
    for result in directory.glob("*/addresses/*/10.*"):
        namespace = _namespace_of(result)
        if namespace:
            subprocess.run(["ip", "netns", "delete", namespace], capture_output=True, check=False)


def _namespace_of(reservation: Path) -> str | None:
    """Find the namespace in which the reserved address is in use."""
    for path in Path("/var/run/netns").glob("cni-*"):
        shown = subprocess.run(
            ["ip", "-netns", path.name, "-oneline", "address"], capture_output=True, text=True, check=False
        )
        if f" {reservation.name}/" in shown.stdout:
            return path.name
    return None


def _commands() -> Iterator[tuple[int, list[str]]]:
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (path / "cmdline").read_text(errors="replace").split("\0")
            yield int(path.name), words


def _descendants(process: int) -> Iterator[int]:
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, path.read_text().split()):
                yield from _descendants(child)
                yield child
