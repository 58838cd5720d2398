"""How a newcomer's load stands to that of its elder: at which level, and how much later."""

import numpy as np

from exporter.forecast.bequest import Bequest
from exporter.history.windows import Floats, Integers

_LEVEL = 5
"""Columns that a level is taken from."""
_RECENT = 60
"""Columns after which an elder's last level says nothing of a newcomer's first."""
_SAME = 0.3
"""Log ratio of levels, over the root of the newcomer's columns, under which both count as the same."""
_LATEST = 60
"""Columns by which a newcomer's load may run behind its elder's."""
_TELLING = 5
"""Columns of its own from which a newcomer's lag can be told."""
_CONVINCING = 0.5
"""Share of the distance without a lag that must be left with it: most replicas have none."""
_LARGEST_SCALE = 8.0


def behind(values: Floats, first: Integers, elder: Floats, scale: Floats, before: Integers) -> Integers:
    """Return [resources], by how many columns ``values`` [resources, time] run behind those of the living ``elder``.

    A lag must explain them much better than the elder's load of that time, at its level or ``scale`` times it.
    While a newcomer has few columns of its own, that is told from all of them; then what was told ``before`` stands.
    """
    lags, width = before.copy(), values.shape[1]
    lived = width - first
    for row in np.flatnonzero((lived >= _TELLING) & (lived <= min(_LATEST // 2, width - _LATEST))):
        count = int(lived[row])
        shifted = np.lib.stride_tricks.sliding_window_view(elder[row, width - count - _LATEST :], count)[::-1]
        own = values[row, width - count :]
        apart = np.abs(shifted - own).mean(axis=1)
        without = min(apart[0], np.abs(scale[row] * shifted[0] - own).mean())
        best = int(apart.argmin())
        lags[row] = best if apart[best] < _CONVINCING * without else 0
    return lags


def relative_level(values: Floats, first: Integers, past: Bequest, beside: Floats | None, column: int) -> Floats:
    """Return [resources], the newcomer's first level over its elder's; 1 where they hardly differ or are apart.

    The elder's is that of the same columns where it lives ``beside`` [resources, time] the newcomer, else its last.
    """
    width, at = values.shape[1], np.arange(values.shape[1])
    own = np.clip(width - first, 1, _LEVEL)
    mine = (at >= first[:, None]) & (at < (first + own)[:, None])
    level = np.where(mine, values, 0.0).sum(axis=1) / own
    last = past.fine[:, -_LEVEL:].mean(axis=1)
    before = last if beside is None else np.where(mine, beside, 0.0).sum(axis=1) / own
    near = column - width + 1 + first - past.newest <= _RECENT
    comparable = near & (level > 0) & (before > 0)
    ratio = np.log(np.where(comparable, level, 1.0) / np.where(comparable, before, 1.0))
    differs = np.abs(ratio) > np.maximum(_SAME / np.sqrt(own), 2 * past.unrest())
    bound = np.log(_LARGEST_SCALE)
    return np.asarray(np.exp(np.where(differs, np.clip(ratio, -bound, bound), 0.0)), np.float32)
