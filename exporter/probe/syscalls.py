"""Names of system calls by number, for the machine's architecture."""

import platform
from importlib.resources import files

OVERFLOW = 511
"""The number under which ``counts.bpf.c`` counts every call past it: keys must stay bounded."""

_COLUMNS = {"x86_64": 1, "aarch64": 2}


class SyscallNames:
    """Numbers to names; an architecture without a table gets names made of numbers."""

    def __init__(self, machine: str = platform.machine()) -> None:
        self._names = _read_table(_COLUMNS[machine]) if machine in _COLUMNS else {}

    def __getitem__(self, number: int) -> str:
        if number == OVERFLOW:
            return "other"
        return self._names.get(number, f"syscall_{number}")


def _read_table(column: int) -> dict[int, str]:
    text = files(__package__).joinpath("syscalls.txt").read_text(encoding="ascii")
    rows = (line.split() for line in text.splitlines() if not line.startswith("#"))
    return {int(row[column]): row[0] for row in rows if row[column] != "-"}
