"""Gradient boosting over the samples of all series, for the median and for what lies above it; in the child.

scikit-learn's histogram boosting (after Ke et al., LightGBM, NIPS 2017) by absolute error for the median and by
pinball loss for the other quantiles; what it finds is handed on as plain arrays.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from exporter.forecast.exchange import Arrays
from exporter.forecast.plan import MEDIAN
from exporter.forecast.samples import Known
from exporter.forecast.trees import DEPTH, NODES, Forest
from exporter.history.windows import Bools, Floats
from exporter.persist.arrays import under, within

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingRegressor

TREES = 200
_HALVES = 2
"""Of a forest above the median, each grown from a draw of its own: their mean strays less than one twice as long."""
_RATE = 0.05
"""Of one that is grown in one go; a half learns twice as fast."""
_LEAVES = 24
_FEWEST = 100
"""Samples in a leaf."""
_BEYOND = 4.0
"""Samples of a leaf that lie beyond the quantile, on average."""
_RIDGE = 10.0
_TOLD = 0.1
"""Share of the inputs that a split chooses among: trees that differ err less together."""
_BINS = 127


def learn(request: Arrays, enough: Callable[[], bool]) -> Arrays:
    """Return parts ``forest0``, ``forest1`` … for parts ``samples0``, ``samples1`` … of ``request``."""
    levels = tuple(float(level) for level in request.get("levels", ()))
    answer: Arrays = {}
    for part in sorted({name.split("/")[0] for name in request if name.startswith("samples")}):
        if not enough():
            known = Known(**within(part, request))
            answer |= under(part.replace("samples", "forest"), vars(grow(known, levels)))
    return answer


def grow(known: Known, levels: tuple[float, ...]) -> Forest:
    """Return the forest that says the quantiles ``levels`` of the targets of ``known``."""
    random = np.random.default_rng(0)
    return as_forest([_grown(known, level, random) for level in levels], np.array(levels) != MEDIAN)


def _grown(known: Known, level: float, random: np.random.Generator) -> list["HistGradientBoostingRegressor"]:
    """Return models whose mean says the quantile ``level``, above the median of the change's inverse hyperbolic sine.

    So a few changes of a thousand times the usual one do not decide every split; quantiles stay quantiles.
    """
    parts, targets = (1, known.targets) if level == MEDIAN else (_HALVES, np.arcsinh(known.targets))
    chances = known.weights / known.weights.sum()
    draws = [random.choice(len(chances), len(chances), p=chances) for _ in range(parts)]
    return [_boosted(known.inputs[drawn].astype(np.float32), targets[drawn], level, parts) for drawn in draws]


def as_forest(models: list[list["HistGradientBoostingRegressor"]], stretched: Bools) -> Forest:
    """Return the trees of ``models`` as arrays; for each level there are some, whose mean counts."""
    levels = [[_arrays(model) for model in alike] for alike in models]
    joined = [[np.concatenate(part) for part in zip(*alike, strict=True)] for alike in levels]
    feature, threshold, leaf = (np.stack(part) for part in list(zip(*joined, strict=True))[:3])
    leaf /= np.array([len(alike) for alike in models], np.float32)[:, None, None]
    base = np.array([bases.mean() for *_, bases in joined], np.float32)
    return Forest(feature.astype(np.int32), threshold, leaf, base, stretched)


def _boosted(inputs: Floats, targets: Floats, level: float, parts: int) -> "HistGradientBoostingRegressor":
    from sklearn.ensemble import HistGradientBoostingRegressor  # noqa: PLC0415 - 100 MB, for the child alone

    aim: dict[str, Any] = {"loss": "absolute_error"} if level == MEDIAN else {"loss": "quantile", "quantile": level}
    return HistGradientBoostingRegressor(
        **aim,
        max_iter=TREES // parts,
        learning_rate=_RATE * parts,
        max_leaf_nodes=_LEAVES,
        max_depth=DEPTH,
        min_samples_leaf=max(_FEWEST, round(_BEYOND / (1.0 - level))),
        max_features=_TOLD,
        l2_regularization=_RIDGE,
        max_bins=_BINS,
        early_stopping=False,
        random_state=0,
    ).fit(inputs, targets)


def _arrays(model: "HistGradientBoostingRegressor") -> tuple[NDArray[Any], Floats, Floats, Floats]:
    """Return feature [TREES, NODES], threshold, leaf [TREES, NODES + 1] and base of ``model``."""
    trees = len(model._predictors)
    feature = np.zeros((trees, NODES), np.int32)
    threshold = np.full((trees, NODES), np.inf, np.float32)
    leaf = np.zeros((trees, NODES + 1), np.float32)
    for tree, (predictor,) in enumerate(model._predictors):
        _unfold(predictor.nodes, 0, 0, feature[tree], threshold[tree], leaf[tree])
    return feature, threshold, leaf, np.asarray(model._baseline_prediction, np.float32).reshape(1)


def _unfold(
    nodes: NDArray[Any], number: int, place: int, feature: NDArray[Any], threshold: Floats, leaf: Floats
) -> None:
    """Write node ``number`` and all under it to ``place`` of a complete tree; an early leaf goes down on the left."""
    node = nodes[number]
    if place >= NODES:
        leaf[place - NODES] = node["value"]
    elif node["is_leaf"]:
        _unfold(nodes, number, 2 * place + 1, feature, threshold, leaf)
    else:
        feature[place] = node["feature_idx"]
        threshold[place] = _floor(node["num_threshold"])
        _unfold(nodes, int(node["left"]), 2 * place + 1, feature, threshold, leaf)
        _unfold(nodes, int(node["right"]), 2 * place + 2, feature, threshold, leaf)


def _floor(number: np.float64) -> np.float32:
    """Return the largest float32 that is not above ``number``: a sample often lies on the threshold itself."""
    near = np.float32(number)
    return near if near <= number else np.nextafter(near, np.float32(-np.inf), dtype=np.float32)
