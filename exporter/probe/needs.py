"""What counting in the kernel needs of the host, and what a person can do where it is missing."""

import shutil
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

TYPES = Path("/sys/kernel/btf/vmlinux")
"""The kernel's own type information (BTF)."""
_PROCESS = Path("/proc/self")
_ADMIN = 21
_CAPABILITIES = {"CAP_PERFMON": 38, "CAP_BPF": 39}
"""Numbers in the kernel's capability sets; ``CAP_SYS_ADMIN``, 21, holds both."""
_EVERYBODY = (0, 0, (1 << 32) - 1)
"""The user ids of the namespace that the host started with."""


def first_lack(program: Path, types: Path = TYPES, process: Path = _PROCESS) -> str | None:
    """Return what is missing first and the remedy in one line, None where nothing is that can be seen before."""
    return next(chain(_rights(process), _program(program), _types(types)), None)


def _rights(process: Path) -> Iterator[str]:
    status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines() if ":\t" in line)
    held = int(status["CapEff"], 16)
    if tuple(map(int, (process / "uid_map").read_text().split())) != _EVERYBODY:
        yield "in a user namespace nobody may count in the kernel; run the probe as the host's root, not rootless"
    if missing := [name for name, bit in _CAPABILITIES.items() if not held >> bit & 1 and not held >> _ADMIN & 1]:
        flags = " ".join(f"--cap-add={name.removeprefix('CAP_')}" for name in missing)
        yield f"the probe lacks {' and '.join(missing)}; run it as root, or give it these, in a container by {flags}"


def _program(program: Path) -> Iterator[str]:
    if not program.exists():
        yield f"there is no {program}; make it: make setup, or see exporter/probe/programs/Makefile"
    if shutil.which("setpriv") is None:
        yield "there is no setpriv on the PATH; install util-linux"


def _types(types: Path) -> Iterator[str]:
    if not types.exists():
        yield f"this kernel has no {types}; the probe needs Linux 5.18 or newer with CONFIG_DEBUG_INFO_BTF"
