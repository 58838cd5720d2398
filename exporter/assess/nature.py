"""What a container's CPU time goes into, so that trouble with its neighbours gets the name of its cause."""

import numpy as np
from numpy.typing import NDArray

from exporter.assess.robust import Numbers, ramp
from exporter.assess.scores import INTERFERENCE

Kinds = NDArray[np.intp]

COSTS = {
    "threads": ("thread_creations", 2e-4),
    "network_io": ("network_packets", 2e-6),
    "disk_io": ("disk_io", 5e-10),
    "memory_bandwidth": ("cache_misses", 2e-8),
}
"""CPU seconds of one task made and ended, one packet, one byte moved, one line that no cache had: the usual orders of
magnitude (lmbench's fork and pthread figures, a core's million packets, some GiB a second to disk and to memory in
lines of 64 bytes)."""
MOVES = 2.0**20
"""Bytes a second: what moves less does not load a disk, however long it waits for it."""
MOSTLY = 0.3
"""Part of the CPU time that names it."""
CACHES = (2.0**25, 2.0**27)
"""Bytes held: no core's own cache has the first, few of any core's neighbours are left alone by the second."""
CALLS = (2e3, 2e4)
"""Calls a CPU second: few while a loop runs over memory, many where the kernel does the work."""
_DISK = list(COSTS).index("disk_io")
_MEMORY = INTERFERENCE.index("memory_bandwidth")
_CPU = INTERFERENCE.index("cpu")


def natures(use: dict[str, Numbers]) -> Kinds:
    """Return [containers], the index in INTERFERENCE of what each one's CPU time goes into.

    ``use`` holds levels [containers] of cpu, memory, syscalls, io_waiting and of the signals in COSTS. What is known to
    cost time comes first, and what waits for disks itself is busy with them; where no cache misses are counted, a loop
    over more memory than the caches hold is in the way of all others' memory; all else is plain CPU.
    """
    busy = np.maximum(use["cpu"], 1e-3)
    shares = np.stack([use[signal] * cost / busy for signal, cost in COSTS.values()], axis=1)
    own_waits = np.where(use["disk_io"] > MOVES, use["io_waiting"] / (use["io_waiting"] + busy), 0.0)
    shares[:, _DISK] = np.maximum(shares[:, _DISK], own_waits)
    known = np.array([INTERFERENCE.index(kind) for kind in COSTS])[shares.argmax(axis=1)]
    plain = np.where(_streams(use, busy) > 0.5, _MEMORY, _CPU)
    kinds: Kinds = np.where(shares.max(axis=1) > MOSTLY, known, plain)
    return kinds


def _streams(use: dict[str, Numbers], busy: Numbers) -> Numbers:
    large = ramp(np.log(np.maximum(use["memory"], 1.0)), np.log(CACHES[0]), np.log(CACHES[1]))
    calm: Numbers = 1 - ramp(use["syscalls"] / busy, *CALLS)
    return np.where(use["cache_misses"] > 0, 0.0, large * calm)
