"""Who is let in, and what is answered."""

import json
import sqlite3
from typing import Any

import pytest

RIGHT = {"Authorization": "Bearer secret"}


@pytest.fixture
def client(world: Any) -> Any:
    return world.service.app.test_client()


@pytest.mark.parametrize("path", ["/alerts", "/pause", "/resume"])
@pytest.mark.parametrize("header", [None, "", "Bearer wrong", "Bearer", "Basic secret", "Bearer secre\u0301t"])
def test_without_the_token_nothing_can_be_posted(client: Any, path: Any, header: Any) -> None:
    headers = {} if header is None else {"Authorization": header.encode().decode("latin-1")}
    answer = client.post(path, json={"alerts": []}, headers=headers)
    assert answer.status_code == 401
    assert "WWW-Authenticate" in answer.headers


def test_a_rotated_token_counts_at_once(world: Any, client: Any) -> None:
    world.config.webhook.token_file.write_text("another one")
    assert client.post("/pause", headers=RIGHT).status_code == 401
    assert client.post("/pause", headers={"Authorization": "Bearer another one"}).status_code == 200


@pytest.mark.parametrize("spoil", [lambda file: file.unlink(), lambda file: file.write_text(" \n")])
def test_a_token_file_that_went_away_makes_alertmanager_try_again(world: Any, client: Any, spoil: Any) -> None:
    spoil(world.config.webhook.token_file)
    answer = client.post("/alerts", json={"alerts": []}, headers={"Authorization": "Bearer "})
    assert answer.status_code == 503
    assert "token" in answer.get_json()["error"]


def test_a_wrong_body_is_answered_400_with_the_reason(client: Any) -> None:
    answer = client.post("/alerts", data=b"{}", headers=RIGHT)
    assert answer.status_code == 400
    assert answer.get_json()["error"] == "the body alerts: is no list"


def test_a_body_that_is_too_large_is_answered_413(client: Any) -> None:
    assert client.post("/alerts", data=b"x" * 1_048_577, headers=RIGHT).status_code == 413


def test_a_ledger_that_cannot_be_written_is_answered_503_and_nothing_is_lost(
    world: Any, client: Any, make_alert: Any
) -> None:
    other = sqlite3.connect(world.config.ledger.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert world.post(make_alert()) == 503
    other.execute("ROLLBACK")
    other.close()
    assert world.post(make_alert()) == 202
    assert len(world.actions()) == 1
    assert 'cpp_webhook_rejections_total{code="503"} 1.0' in world.metrics()


def test_a_ledger_file_that_was_removed_is_answered_503(world: Any, make_alert: Any) -> None:
    world.config.ledger.path.unlink()
    assert world.post(make_alert()) == 503


def test_the_delivery_is_on_disk_before_it_is_acknowledged(world: Any, make_alert: Any) -> None:
    world.post(make_alert())
    other = sqlite3.connect(world.config.ledger.path)
    assert other.execute("SELECT count(*) FROM orders WHERE state = 'open'").fetchone() == (1,)
    other.close()


def test_sqlite_is_told_to_reach_the_disk_at_each_commit(world: Any) -> None:
    with world.service.ledger._read() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_truncated_alerts_are_counted(world: Any, make_alert: Any) -> None:
    world.post(make_alert(), truncatedAlerts=4)
    assert "cpp_truncated_alerts_total 4.0" in world.metrics()


def test_actions_can_be_read_one_by_one_and_in_number(world: Any, client: Any, make_alert: Any) -> None:
    world.post(*(make_alert(container=f"c{i}") for i in range(3)))
    assert client.get("/actions/2").get_json()["target"]["container"] == "c1"
    assert [action["id"] for action in client.get("/actions?limit=2").get_json()["actions"]] == [3, 2]
    assert client.get("/actions/99").status_code == 404
    assert client.get("/actions?limit=no").status_code == 200


def test_actions_are_strict_json_even_where_an_observation_is_infinite(
    world: Any, client: Any, make_alert: Any
) -> None:
    world.truth.say(exhaustion_seconds=float("inf"))
    world.post(make_alert())
    world.work()

    def refuse(constant: Any) -> None:
        raise AssertionError(constant)

    json.loads(client.get("/actions").get_data(), parse_constant=refuse)


def test_the_page_and_the_probes_answer(client: Any) -> None:
    assert b"/metrics" in client.get("/").data
    assert client.get("/-/healthy").status_code == 200
    assert client.get("/-/ready").status_code == 503  # its worker does not run here


def test_a_get_of_a_post_and_an_unknown_path_are_errors_in_json(client: Any) -> None:
    assert client.get("/alerts").status_code == 405
    assert "error" in client.get("/nothing").get_json()
