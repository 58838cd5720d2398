import sqlite3
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from actuator.ledger.database import Unseen
from actuator.ledger.journal import record_plan
from actuator.ledger.live import live_rows
from actuator.ledger.orders import NewOrder, insert_order, strongest_rival
from actuator.ledger.rows import key
from actuator.ledger.schema import prepare
from actuator.ledger.sqlite import SqliteLedger
from actuator.model.decisions import Plan, Step
from actuator.model.orders import Intent, Order, OrderState, Target
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


class Slow(Unseen):
    """A witness that takes its time, as an API server does."""

    def __init__(self) -> None:
        self.asked, self.go_on = threading.Event(), threading.Event()

    def publish(self, connection: sqlite3.Connection) -> None:
        self.asked.set()
        assert self.go_on.wait(5)


def test_readers_see_what_is_committed_while_a_writer_waits_for_its_witness(tmp_path: Path) -> None:
    slow = Slow()
    ledger = SqliteLedger(tmp_path / "ledger.sqlite", slow)
    writer = threading.Thread(target=ledger.put, args=("paused", "1"))
    writer.start()
    assert slow.asked.wait(5)
    assert ledger.get("paused") is None
    slow.go_on.set()
    writer.join()
    assert ledger.get("paused") == "1"
    ledger.close()
