"""Tables of the SQLite ledger, and how a file of another version is met.

A ``target`` is a JSON list of the five identity labels.
"""

import sqlite3

VERSION = 2

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE counters (name TEXT NOT NULL, label TEXT NOT NULL, outcome TEXT NOT NULL, value INTEGER NOT NULL,
    PRIMARY KEY (name, label, outcome));
CREATE TABLE deliveries (id INTEGER PRIMARY KEY, received_at REAL NOT NULL, receiver TEXT NOT NULL,
    group_key TEXT NOT NULL, alerts INTEGER NOT NULL, ignored INTEGER NOT NULL, truncated INTEGER NOT NULL);
CREATE TABLE orders (id INTEGER PRIMARY KEY, target TEXT NOT NULL, resource TEXT NOT NULL, intent TEXT NOT NULL,
    alert TEXT NOT NULL, severity TEXT NOT NULL, reason TEXT NOT NULL, state TEXT NOT NULL, opened_at REAL NOT NULL,
    refreshed_at REAL NOT NULL, closed_at REAL, attempts INTEGER NOT NULL DEFAULT 0,
    not_before REAL NOT NULL DEFAULT 0);
CREATE UNIQUE INDEX one_open_order ON orders (target, resource, intent) WHERE state = 'open';
CREATE INDEX orders_by_state ON orders (state);
CREATE TABLE alerts (id INTEGER PRIMARY KEY, fingerprint TEXT NOT NULL, starts_at TEXT NOT NULL, name TEXT NOT NULL,
    labels TEXT NOT NULL, annotations TEXT NOT NULL, firing INTEGER NOT NULL, order_id INTEGER,
    first_seen REAL NOT NULL, last_seen REAL NOT NULL, deliveries INTEGER NOT NULL DEFAULT 1,
    UNIQUE (fingerprint, starts_at));
CREATE INDEX alerts_by_order ON alerts (order_id);
CREATE TABLE verdicts (id INTEGER PRIMARY KEY, order_id INTEGER NOT NULL, origin TEXT NOT NULL, kind TEXT NOT NULL,
    code TEXT NOT NULL, reason TEXT NOT NULL, retryable INTEGER NOT NULL, inputs TEXT NOT NULL, at REAL NOT NULL,
    last_at REAL NOT NULL, times INTEGER NOT NULL DEFAULT 1);
CREATE INDEX verdicts_by_order ON verdicts (order_id);
CREATE TABLE steps (id INTEGER PRIMARY KEY, verdict_id INTEGER NOT NULL, order_id INTEGER NOT NULL,
    target TEXT NOT NULL, kind TEXT NOT NULL, resource TEXT NOT NULL, before REAL, after REAL, expires_at REAL,
    due_at REAL, leak INTEGER NOT NULL, node TEXT NOT NULL DEFAULT '', uid TEXT NOT NULL DEFAULT '',
    origin TEXT NOT NULL, state TEXT NOT NULL, starts INTEGER NOT NULL DEFAULT 0,
    kernel_file TEXT NOT NULL DEFAULT '', before_raw TEXT NOT NULL DEFAULT '', after_raw TEXT NOT NULL DEFAULT '',
    error TEXT NOT NULL DEFAULT '', planned_at REAL NOT NULL, started_at REAL, finished_at REAL);
CREATE INDEX steps_by_order ON steps (order_id);
CREATE INDEX steps_by_state ON steps (state);
CREATE INDEX steps_by_container ON steps (target, finished_at);
CREATE TABLE reservations (target TEXT NOT NULL, resource TEXT NOT NULL, amount REAL NOT NULL, due_at REAL NOT NULL,
    expires_at REAL NOT NULL, order_id INTEGER NOT NULL, PRIMARY KEY (target, resource));
CREATE TABLE throttles (target TEXT NOT NULL, resource TEXT NOT NULL, before REAL, "limit" REAL NOT NULL,
    expires_at REAL NOT NULL, relapses INTEGER NOT NULL, loosened INTEGER NOT NULL, calm_since REAL, ended_at REAL,
    order_id INTEGER NOT NULL, PRIMARY KEY (target, resource));
CREATE TABLE held (target TEXT NOT NULL, resource TEXT NOT NULL, owner_limit REAL, current REAL,
    certain INTEGER NOT NULL, raises INTEGER NOT NULL, leak_raises INTEGER NOT NULL, order_id INTEGER NOT NULL,
    PRIMARY KEY (target, resource));
"""

_VIEWS = """
CREATE INDEX orders_by_container ON orders (target, state);
CREATE INDEX steps_by_plan ON steps (verdict_id);
CREATE INDEX moves ON steps (verdict_id) WHERE kind = 'place';
CREATE VIEW moves_begun AS SELECT verdict_id FROM steps WHERE kind = 'place' AND starts > 0;
-- What a clock gave back is no action that a container must rest from, or that uses up the budget.
CREATE VIEW actions AS SELECT target, coalesce(finished_at, started_at) AS at FROM steps
    WHERE kind IN ('set_limit', 'evict') AND origin IN ('order', 'restore')
    AND state IN ('started', 'done', 'reverted', 'failed', 'dry_run');
"""

_CHANGES = {
    1: f"""
ALTER TABLE steps ADD COLUMN node TEXT NOT NULL DEFAULT '';
ALTER TABLE steps ADD COLUMN uid TEXT NOT NULL DEFAULT '';
DROP VIEW actions;
{_VIEWS}"""
}
"""What makes a file of a version one of the next."""


class SchemaError(Exception):
    """The file is of a version that this program cannot use."""


def prepare(connection: sqlite3.Connection) -> None:
    """Create the tables in a new file, or change an older one's; raise SchemaError for a file of a later version."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise SchemaError(f"has schema version {version}, this program knows {VERSION}; use the program that wrote it")
    if version == 0:
        _make(connection, _TABLES + _VIEWS, VERSION)
        return
    for older in range(version, VERSION):
        _make(connection, _CHANGES[older], older + 1)


def _make(connection: sqlite3.Connection, statements: str, version: int) -> None:
    connection.executescript(f"BEGIN IMMEDIATE; {statements} PRAGMA user_version = {version}; COMMIT;")
