import sqlite3
from collections.abc import Iterator
from itertools import count

import pytest

from actuator.ledger.journal import record_plan
from actuator.ledger.live import live_rows
from actuator.ledger.orders import NewOrder, insert_order, strongest_rival
from actuator.ledger.rows import key
from actuator.ledger.schema import prepare
from actuator.model import Intent, Order, OrderState, Plan, Step, Target
from actuator.records import Origin


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    one = sqlite3.connect(":memory:", isolation_level=None)
    one.row_factory = sqlite3.Row
    prepare(one)
    yield one
    one.close()


def open_orders(connection: sqlite3.Connection, numbers: range) -> None:
    for number in numbers:
        target = pod(number)
        order = insert_order(connection, NewOrder(target, "cpu", "reclaim", "A", "info", "", OrderState.OPEN), 1.0)
        plan = Plan((Step("set_limit", "cpu", 1.0, 0.5),), "less")
        record_plan(connection, order, target, plan, Origin.ORDER, 1.0)


def pod(number: int) -> Target:
    return Target("n1", "shop", f"web-{number}", "main", f"{number:064}")


def work(connection: sqlite3.Connection) -> int:
    """How many instructions SQLite takes for what is asked about one container at each transaction."""
    steps = count()
    connection.set_progress_handler(lambda: next(steps) < 0, 1)
    live_rows(connection, key(pod(3)), 2.0)
    strongest_rival(connection, Order(4, pod(3), "cpu", Intent.RECLAIM, "A", "info", "", OrderState.OPEN, 1.0, 1.0))
    connection.set_progress_handler(None, 0)
    return next(steps)


def test_what_is_asked_about_one_container_takes_no_longer_with_a_thousand_others(
    connection: sqlite3.Connection,
) -> None:
    open_orders(connection, range(10))
    few = work(connection)
    open_orders(connection, range(10, 1000))
    assert work(connection) < 1.5 * few
