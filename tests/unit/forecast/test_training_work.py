import contextlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.forecast import arima, exchange
from exporter.forecast.demand import Demand
from exporter.forecast.engine import Engine
from exporter.forecast.exchange import NonsenseError
from exporter.forecast.learning import Plan
from exporter.forecast.refit import refit
from exporter.forecast.relearn import relearn
from exporter.forecast.work import Ranking, choose, history, install, models

HANDED = 5
SERIES = 6
COLUMNS = 200


def answer(**other: Any) -> dict[str, Any]:
    good = {
        "row": np.array([0, 3]),
        "model": np.stack([arima.pack(0.1, np.array([0.5]), 0, np.array([0.2]))] * 2),
        "searched": np.array([0]),
    }
    return {**good, **other}


def random_series(rows: int = SERIES) -> Demand:
    values = 50 + np.random.default_rng(2).normal(size=(rows, COLUMNS)).astype(np.float32)
    return Demand(values, np.ones(values.shape, np.bool_), values, values, np.zeros(rows, np.int64))


@pytest.fixture
def engine() -> Engine:
    made = Engine(Plan((5,), (0.5, 0.9), 1, 1440, 1441, 10))
    made.arrange(np.full(SERIES, -1))
    demand = random_series()
    for column in range(60):
        made.step(demand, column, column)
    return made


def test_a_good_answer_is_believed() -> None:
    rows, found = models(answer(), HANDED)
    assert rows.tolist() == [0, 3]
    assert found.shape == (2, arima.WIDTH)


@pytest.mark.parametrize(
    "nonsense",
    [
        {"row": np.array([0, HANDED])},
        {"row": np.array([-1, 0])},
        {"row": np.array([2, 2])},
        {"row": np.array([0.0, 1.0])},
        {"row": np.array([[0, 1]])},
        {"searched": np.array([99])},
        {"model": np.zeros((2, arima.WIDTH + 1))},
        {"model": np.zeros((3, arima.WIDTH))},
        {"model": np.full((2, arima.WIDTH), np.nan)},
        {"model": np.full((2, arima.WIDTH), np.inf)},
        {"model": np.full((2, arima.WIDTH), "a")},
        {"model": np.stack([arima.pack(0.0, np.array([1.2]), 0, np.array([]))] * 2)},
        {"model": np.stack([arima.pack(0.0, np.array([]), 1, np.array([1.5]))] * 2)},
    ],
)
def test_nonsense_is_not(nonsense: dict[str, Any]) -> None:
    with pytest.raises(NonsenseError):
        models(answer(**nonsense), HANDED)


def test_an_answer_that_lacks_arrays_is_not() -> None:
    with pytest.raises(NonsenseError, match="lacks"):
        models({"row": np.array([0])}, HANDED)


@pytest.mark.parametrize("payload", [b"", b"PK\x03\x04", b"\x93NUMPY", b"hello", exchange.write({})[:-30]])
def test_bytes_that_are_no_answer_are_refused(payload: bytes) -> None:
    with pytest.raises(NonsenseError):
        exchange.read(payload)


def test_what_is_written_is_read() -> None:
    arrays = exchange.read(exchange.write({"series": np.arange(3)}))
    assert arrays.keys() == {"series"}
    assert arrays["series"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("order", [(0, 0, 0), (0, 1, 0), (3, 0, 2), (1, 1, 1), (5, 2, 3), (0, 2, 1)])
def test_the_order_is_read_off_a_packed_model(order: tuple[int, int, int]) -> None:
    p, d, q = order
    packed = arima.pack(0.3, 0.4 / np.arange(1, p + 1), d, 0.3 / np.arange(1, q + 1))
    assert arima.orders(packed[None]).tolist() == [[p, d, q]]
    assert arima.stable(packed[None]).all()
    assert (arima.orders(np.full((1, arima.WIDTH), np.nan)) == -1).all()


def test_known_orders_are_fitted_where_there_is_something_to_fit() -> None:
    values = np.random.default_rng(0).normal(size=(5, COLUMNS))
    values[1, :100] = np.nan
    values[2, : COLUMNS - 20] = np.nan
    values[3] = 4.0
    found = refit(values, np.array([[1, 0, 1]] * 4 + [[-1, -1, -1]]))
    assert np.isnan(found).any(axis=1).tolist() == [False, False, True, True, True]


def test_what_changed_is_searched_first_then_what_rested_and_the_rest_is_fitted_again(engine: Engine) -> None:
    engine.flat().model[[0, 1]] = arima.pack(0.0, np.array([0.5]), 0, np.array([]))
    rested = np.array([False, True, True, False, True, True])
    rows, searches = choose(engine, random_series(), Ranking(np.array([3]), rested, 2))
    assert searches == 2
    assert rows[0] == 3
    assert rested[rows[1]]
    assert set(rows[2:]) <= {0, 1}
    assert not {0, 1} - set(rows)


def test_history_of_what_changed_begins_at_the_change(engine: Engine) -> None:
    given = history(random_series(2), np.array([0, 1]), np.array([COLUMNS, 90]))
    assert np.isnan(given).sum(axis=1).tolist() == [0, COLUMNS - 90]


def test_a_model_that_would_leave_all_that_its_series_has_been_is_not_installed(engine: Engine) -> None:
    far = arima.pack(1e6, np.array([0.5]), 0, np.array([]))
    near = arima.pack(25.0, np.array([0.5]), 0, np.array([]))
    install(engine, random_series(), np.array([1, 2]), np.stack([far, near]))
    assert np.isnan(engine.flat().model[1]).all()
    assert engine.flat().model[2].tolist() == near.tolist()


def test_learning_anew_lets_the_newest_outweigh_the_rest_for_the_named_series_alone(engine: Engine) -> None:
    state = engine.flat()
    before = state.errors[2, 0].copy()
    others = state.sums[[0, 1, 3, 4, 5]].copy()
    relearn(state, np.array([2]))
    assert state.sums[2, 0, -1, -1] <= 20.0
    assert (state.sums[[0, 1, 3, 4, 5]] == others).all()
    kept = state.errors[2, 0][~np.isnan(state.errors[2, 0])]
    filled = before[~np.isnan(before)]
    assert kept.tolist() == filled[::-1][: len(kept)].tolist()
    assert state.filled[2, 0] == len(kept)
    relearn(state, np.empty(0, np.int64))


@given(st.data())
def test_a_damaged_answer_is_refused_or_read_but_never_raises_anything_else(data: st.DataObject) -> None:
    payload = bytearray(exchange.write(answer()))
    for at in data.draw(st.lists(st.integers(0, len(payload) - 1), min_size=1, max_size=6)):
        payload[at] = data.draw(st.integers(0, 255))
    with contextlib.suppress(NonsenseError):
        models(exchange.read(bytes(payload)), HANDED)
