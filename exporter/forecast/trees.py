"""Boosted trees for all series at once; what they are made of comes from the training child.

Each tree is a complete binary one of DEPTH levels: node n has the children 2n + 1, where the input is at most the
threshold, and 2n + 2. So a step down all trees of all series is a handful of array operations.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporter.history.windows import Bools, Floats
from exporter.persist.arrays import Arrays, MismatchError, fitting

Numbers = NDArray[np.int32]

DEPTH = 6
NODES = 2**DEPTH - 1
_CHUNK = 1 << 17
"""Series × trees that are walked together, so that they stay in the processor's cache."""
_LARGEST = 12.0
"""Of what is stretched: a change of eighty thousand times the usual one."""


@dataclass(frozen=True)
class Forest:
    """For one horizon, the trees of all levels."""

    feature: Numbers
    """[levels, trees, NODES], column of the inputs"""
    threshold: Floats
    """[levels, trees, NODES]"""
    leaf: Floats
    """[levels, trees, NODES + 1]"""
    base: Floats
    """[levels], what the trees add to"""
    stretched: Bools
    """[levels], the sum is the inverse hyperbolic sine of what is said"""

    def predict(self, inputs: Floats) -> Floats:
        """Return [series, levels] for ``inputs`` [series, features], which hold no NaN."""
        levels, trees = self.feature.shape[:2]
        rows = max(_CHUNK // max(levels * trees, 1), 1)
        parts = [self._walk(inputs[at : at + rows]) for at in range(0, len(inputs), rows)]
        return np.concatenate(parts) if parts else np.zeros((0, levels), np.float32)

    def _walk(self, inputs: Floats) -> Floats:
        levels, trees = self.feature.shape[:2]
        feature, threshold = self.feature.reshape(-1), self.threshold.reshape(-1)
        root = (np.arange(levels * trees) * NODES).astype(np.int32)
        row = (np.arange(len(inputs)) * inputs.shape[1]).astype(np.int32)[:, None]
        flat, node = np.ravel(inputs), np.zeros((len(inputs), levels * trees), np.int32)
        for _ in range(DEPTH):
            at = node + root
            right = flat.take(row + feature.take(at)) > threshold.take(at)
            node += node
            node += 1
            node += right
        leaves = self.leaf.reshape(-1).take(node - NODES + root + root // NODES)
        summed = self.base + leaves.reshape(len(inputs), levels, trees).sum(axis=2)
        return np.asarray(np.where(self.stretched, np.sinh(np.clip(summed, -_LARGEST, _LARGEST)), summed), np.float32)


def restored(arrays: Arrays, levels: int, features: int) -> Forest | None:
    """Return the forest of ``levels`` on so many ``features`` in ``arrays``, None in none; raise MismatchError."""
    if not arrays:
        return None
    trees = arrays["feature"].shape[1] if arrays.get("feature", np.empty(0)).ndim > 1 else 0
    like = Forest(
        np.empty((levels, trees, NODES), np.int32),
        np.empty((levels, trees, NODES), np.float32),
        np.empty((levels, trees, NODES + 1), np.float32),
        np.empty(levels, np.float32),
        np.empty(levels, np.bool_),
    )
    forest = Forest(**{name: fitting(arrays, name, array) for name, array in vars(like).items()})
    if not ((forest.feature >= 0) & (forest.feature < features)).all() or np.isnan(forest.threshold).any():
        raise MismatchError("trees ask for what there is not")
    if not np.isfinite(forest.leaf).all() or not np.isfinite(forest.base).all():
        raise MismatchError("trees are not finite")
    return forest
