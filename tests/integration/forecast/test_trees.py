import numpy as np
import pytest

from exporter.forecast import boosting, forests
from exporter.forecast.engine import Engine
from exporter.forecast.exchange import NonsenseError
from exporter.forecast.features import FEATURES, MISSING
from exporter.forecast.plan import Plan
from exporter.forecast.samples import Known
from exporter.persist.arrays import under

LEVELS = (0.5, 0.9, 0.99)


@pytest.fixture(scope="module")
def known() -> Known:
    random = np.random.default_rng(1)
    inputs = random.integers(-127, 128, (6000, FEATURES)).astype(np.int8)
    inputs[random.random(inputs.shape) < 0.05] = MISSING
    spread = 1.0 + np.abs(inputs[:, 1]) / 40
    targets = (inputs[:, 0] / 60 + random.normal(size=6000) * spread).astype(np.float32)
    return Known(inputs, targets, np.ones(6000, np.float32))


def test_the_walk_says_what_scikit_learn_says(known: Known) -> None:
    inputs = known.inputs.astype(np.float32)
    for level in LEVELS:
        models = [boosting._boosted(inputs[part::2], known.targets[part::2], level, 2) for part in range(2)]
        expected = np.mean([model.predict(inputs[:500]) for model in models], axis=0)
        plain, stretched = (boosting.as_forest([models], np.array([flag])) for flag in (False, True))
        assert np.abs(plain.predict(inputs[:500])[:, 0] - expected).max() < 1e-4
        assert stretched.predict(inputs[:500])[:, 0] == pytest.approx(np.sinh(expected), rel=1e-3, abs=1e-3)


def test_the_trees_learn_the_middle_and_how_far_around_it_the_samples_lie(known: Known) -> None:
    forest = boosting.grow(known, LEVELS)
    said = forest.predict(known.inputs.astype(np.float32))
    share = (known.targets[:, None] <= said).mean(axis=0)
    assert np.abs(share - LEVELS).max() < 0.05
    wide, narrow = np.abs(known.inputs[:, 1]) > 100, np.abs(known.inputs[:, 1]) < 20
    assert (said[wide, 1] - said[wide, 0]).mean() > 1.3 * (said[narrow, 1] - said[narrow, 0]).mean()
    assert np.corrcoef(said[:, 0], known.inputs[:, 0])[0, 1] > 0.8


def test_an_engine_takes_trees_that_fit_and_refuses_others(known: Known) -> None:
    engine = Engine(Plan.of((300.0,), LEVELS, 1, 60.0))
    grown = vars(boosting.grow(known, LEVELS))
    forests.install(engine, under("forest0", grown))
    assert engine.forests[0] is not None
    for nonsense in (
        {**grown, "feature": grown["feature"] + FEATURES},
        {**grown, "leaf": grown["leaf"] * np.float32(np.nan)},
        {**grown, "leaf": grown["leaf"][:, :-1]},
        {"feature": grown["feature"]},
    ):
        with pytest.raises(NonsenseError):
            forests.install(engine, under("forest0", nonsense))


def test_no_series_is_forecast_by_no_trees(known: Known) -> None:
    forest = boosting.grow(known, LEVELS)
    assert forest.predict(np.empty((0, FEATURES), np.float32)).shape == (0, 3)
