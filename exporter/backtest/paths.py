"""Points on a plane and the SVG paths through them."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]
Places = NDArray[np.int64]

_GAP = 3.0
"""Times the usual spacing: beyond it a line is broken."""


def linear(domain: tuple[float, float], target: tuple[float, float]) -> Callable[[Numbers], Numbers]:
    """Return the straight map of ``domain`` onto ``target``; what lies beyond is put at the edge."""
    factor = (target[1] - target[0]) / (domain[1] - domain[0])

    def onto(value: Numbers) -> Numbers:
        placed = target[0] + (np.clip(np.nan_to_num(value, nan=domain[0]), *domain) - domain[0]) * factor
        return np.asarray(np.clip(placed, min(target), max(target)), np.float64)

    return onto


def breaks(times: Numbers) -> Flags:
    """Return [points - 1], whether the line is broken after each point."""
    gaps = np.diff(times)
    return np.asarray(gaps > _GAP * np.median(gaps) if len(gaps) else gaps > 0, np.bool_)


def line(x: Numbers, y: Numbers, lifted: Flags) -> str:
    """Return a path through the points, lifted after each where ``lifted``; a lone point stays visible as a dot."""
    starts = np.append(True, lifted)
    return "".join(
        f"{'M' if lift else 'L'}{a:.1f} {b:.1f}{'h0' if lift else ''}" for a, b, lift in zip(x, y, starts, strict=True)
    )


def band(x: Numbers, under: Numbers, over: Numbers, lifted: Flags) -> str:
    """Return a path around what lies between ``under`` and ``over``, in pieces that end where ``lifted``."""
    path = []
    for run in np.split(np.arange(len(x)), np.flatnonzero(lifted) + 1):
        corners = [*zip(x[run], over[run], strict=True), *zip(x[run][::-1], under[run][::-1], strict=True)]
        path.append("M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in corners) + "Z")
    return "".join(path)


def lowest_and_highest(x: Numbers, y: Numbers) -> Places:
    """Return, in order, the points to draw: of those that fall onto one whole ``x`` the first lowest and highest."""
    place = np.floor(x).astype(np.int64)
    order = np.lexsort((y, place))
    edges = np.flatnonzero(np.diff(place[order]))
    return np.unique(np.concatenate([order[:1], order[edges], order[edges + 1], order[-1:]]))


def evenly(count: int, most: int) -> Places:
    """Return at most ``most`` of ``count`` places, first and last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))
