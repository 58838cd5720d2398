"""What a node leaves on its host when it is ended in the middle: shims, mounts, networks of pods."""

import contextlib
import json
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
    reserved = {result.name for result in directory.glob("*/addresses/*/10.*")}
    for namespace in _linked_namespaces():
        if reserved & _addresses(namespace):
            subprocess.run(["ip", "netns", "delete", namespace], capture_output=True, check=False)


def _linked_namespaces() -> list[str]:
    """Return those that this network has a link to: pods of another cluster may have the very same addresses."""
    listed = subprocess.run(["ip", "-json", "netns", "list"], capture_output=True, text=True, check=False)
    known = json.loads(listed.stdout or "[]")
    return [each["name"] for each in known if each["name"].startswith("cni-") and "id" in each]


def _addresses(namespace: str) -> set[str]:
    command = ["ip", "-netns", namespace, "-json", "address", "show"]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)
    return {entry["local"] for link in json.loads(shown.stdout or "[]") for entry in link.get("addr_info", ())}


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
