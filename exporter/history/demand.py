"""Observed use → demand with its bounds, at the forecast's step."""

import warnings

import numpy as np

from exporter.history.columns import Columns
from exporter.history.counters import Doubles
from exporter.history.registry import Registry
from exporter.history.signals import COLUMN, RESOURCES, SIGNALS
from exporter.history.snapshot import Allocation
from exporter.history.windows import Floats, Grid

_THROTTLED = 0.05
_PRESSED = 0.95
_OOM_OVER_LIMIT = 1.2
_PEAK = np.array([name in ("memory", "file_descriptors", "threads") for name in RESOURCES])
BOUNDS = ("cpu_ceiling", "memory_ceiling", "memory_floor")
_CPU, _MEMORY = RESOURCES.index("cpu"), RESOURCES.index("memory")
"""The first of all, as the grid has it of what can be held back."""


def bounds(signals: Doubles, allocation: Allocation, node_cpu: float, new_oom_kills: Doubles) -> Doubles:
    """Return [rows, bounds], what each cycle says of demand beyond the use that it saw.

    The columns are ``BOUNDS``: upper bounds of CPU and memory demand where use was held back, and a lower bound of
    memory demand where the kernel killed for want of it; NaN where there is nothing to say.
    Held back is CPU with more than 5 % of its periods throttled, and either above .95 of its limit. A throttled task
    would have used at most the time that it waited, so throttled seconds bound CPU demand; nothing bounds memory.
    """
    cpu, memory = signals[:, COLUMN["cpu"]], signals[:, COLUMN["memory"]]
    most = np.fmin(cpu + np.nan_to_num(signals[:, COLUMN["cpu_throttled_seconds"]]), node_cpu)
    held_back = (signals[:, COLUMN["cpu_throttled"]] > _THROTTLED) | (cpu > _PRESSED * allocation.cpu_limit)
    pressed = memory > _PRESSED * allocation.memory_limit
    return np.column_stack(
        [
            np.where(held_back, np.fmax(most, cpu), np.nan),
            np.where(pressed, np.inf, np.nan),
            np.where(new_oom_kills > 0, _OOM_OVER_LIMIT * allocation.memory_limit, np.nan),
        ]
    )


class Demand:
    """Demand at the forecast's step: means of rates, peaks of memory, descriptors and threads."""

    def __init__(self, length: int) -> None:
        self._values = Columns(len(RESOURCES), length)
        self._ceilings = Columns(2, length, kind=np.float16)  # of cores, three digits will do; of bytes, inf

    @property
    def rings(self) -> tuple[Columns, Columns]:
        """For growing, and for removing rows."""
        return self._values, self._ceilings

    def close(self, cycles: Floats, steps: int) -> None:
        """End a step with its ``cycles`` [rows, signals and bounds, cycles]; ``steps`` is 1 unless some were missed."""
        resources, extra = cycles[:, : len(RESOURCES)], cycles[:, len(SIGNALS) :]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a step without any sample is NaN, as it should be
            values = np.where(_PEAK, np.nanmax(resources, axis=2), np.nanmean(resources, axis=2))
            most = np.nanmax(extra, axis=2)
        values[:, _MEMORY] = np.fmax(values[:, _MEMORY], most[:, 2])
        self.write(values, most[:, :2], steps)

    def write(self, values: Floats, ceilings: Floats, steps: int = 1) -> None:
        """Append one step of ``values`` [rows, resources] and ``ceilings`` [rows, 2], then what was missed after it."""
        for ring, column in ((self._values, values), (self._ceilings, ceilings)):
            ring.advance()
            ring.write(column)
            ring.advance(steps - 1)

    def fill(self, values: Floats, ceilings: Floats) -> int:
        """Put ``values`` [rows, resources, steps] and ``ceilings`` [rows, 2, steps], newest last, where nothing is.

        Return the number of steps of which something is known now that was not.
        """
        rows, _, steps = values.shape
        seen, held = (ring.view(rows)[:, :, -steps:] for ring in self.rings)
        new = np.isnan(seen) & ~np.isnan(values)
        np.copyto(held, ceilings, where=new[:, [_CPU, _MEMORY]])
        np.copyto(seen, values, where=new)
        return int(new.any(axis=(0, 1)).sum())

    def grid(self, registry: Registry, step: float, end: float) -> Grid:
        """Return all rows' demand; the node itself is the first row."""
        rows = len(registry)
        held = self._ceilings.view(rows)
        return Grid(step, end, registry.lives, registry.workloads, self._values.view(rows), held, ~np.isnan(held))
