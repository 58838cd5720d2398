import sqlite3
from pathlib import Path

import pytest

from actuator.ledger.database import LedgerError
from actuator.ledger.schema import VERSION
from actuator.ledger.sqlite import SqliteLedger


def columns(path: Path) -> set[str]:
    with sqlite3.connect(path) as connection:
        found = {row[1] for row in connection.execute("PRAGMA table_info(steps)")}
    connection.close()
    return found


def change(path: Path, statements: str) -> None:
    connection = sqlite3.connect(path)
    connection.executescript(statements)
    connection.close()


def test_a_file_of_the_first_version_is_brought_up_to_date_with_what_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    SqliteLedger(path).close()
    change(path, "ALTER TABLE steps DROP COLUMN node; ALTER TABLE steps DROP COLUMN uid;")
    change(path, "DROP INDEX orders_by_container; DROP INDEX steps_by_plan; DROP INDEX moves; DROP VIEW moves_begun;")
    change(path, "PRAGMA user_version = 1;")
    change(
        path,
        "INSERT INTO meta VALUES ('paused', 'yes');",
    )
    ledger = SqliteLedger(path)
    assert ledger.get("paused") == "yes"
    assert columns(path) >= {"node", "uid"}
    ledger.close()
    SqliteLedger(path).close()


def test_a_file_of_a_later_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    SqliteLedger(path).close()
    change(path, f"PRAGMA user_version = {VERSION + 1};")
    with pytest.raises(LedgerError, match="the program that wrote it"):
        SqliteLedger(path)
