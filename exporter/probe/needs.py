"""What counting in the kernel needs of the host, and what a person can do where it is missing."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.resources import files
from itertools import chain
from pathlib import Path

TRACEFS = Path("/sys/kernel/tracing")
_PROCESS = Path("/proc/self")
_ADMIN = 21
_CAPABILITIES = {"CAP_PERFMON": 38, "CAP_BPF": 39}
"""Numbers in the kernel's capability sets; ``CAP_SYS_ADMIN``, 21, holds both."""
_EVERYBODY = (0, 0, (1 << 32) - 1)
"""The user ids of the namespace that the host started with."""
_TRACEPOINT = re.compile(r"^tracepoint:(\w+):(\w+)(\*?)", re.MULTILINE)


def first_lack(tracefs: Path = TRACEFS, process: Path = _PROCESS) -> str | None:
    """Return what is missing first and the remedy in one line, None where nothing is; tracefs is mounted if it may be.

    Asked here since bpftrace, without rights, complains of headers instead.
    """
    return next(chain(_rights(process), _programs(), _tracing(tracefs)), None)


def _rights(process: Path) -> Iterator[str]:
    status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines() if ":\t" in line)
    held = int(status["CapEff"], 16)
    if tuple(map(int, (process / "uid_map").read_text().split())) != _EVERYBODY:
        yield "in a user namespace nobody may count in the kernel; run the probe as the host's root, not rootless"
    if int(status["Uid"].split()[1]) != 0:
        yield "the probe needs root's user id; run it as root (it then needs CAP_BPF and CAP_PERFMON alone)"
    if missing := [name for name, bit in _CAPABILITIES.items() if not held >> bit & 1 and not held >> _ADMIN & 1]:
        flags = " ".join(f"--cap-add={name.removeprefix('CAP_')}" for name in missing)
        yield f"the probe lacks {' and '.join(missing)}; give it, in a container by {flags}"


def _programs() -> Iterator[str]:
    for program in ("bpftrace", "setpriv"):
        if shutil.which(program) is None:
            yield f"there is no {program} on the PATH; install it (Debian: bpftrace, util-linux)"


def _tracing(tracefs: Path) -> Iterator[str]:
    if refused := _mount(tracefs):
        yield f"no tracefs, nor may it be mounted here ({refused}); on the host: mount -t tracefs nodev {tracefs}"
        return
    program = files(__package__).joinpath("kernel.bt").read_text(encoding="utf-8")
    for group, name, more in _TRACEPOINT.findall(program):
        if not any((tracefs / "events" / group).glob(f"{name}{more}/format")):
            kernel = "the probe needs Linux 5.18 or newer with CONFIG_FTRACE_SYSCALLS"
            yield f"this kernel has no tracepoint {group}:{name}{more}; {kernel}"


def _mount(tracefs: Path) -> str:
    """Mount tracefs where it is missing; return why that could not be done."""
    if (tracefs / "events").is_dir():
        return ""
    command = ["mount", "-t", "tracefs", "nodev", str(tracefs)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stderr.strip().splitlines()[0] if done.returncode else ""
