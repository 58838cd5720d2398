"""What /metrics says before, while and after."""

from typing import Any

from structlog.testing import capture_logs


def test_known_label_sets_are_there_from_the_start(world: Any) -> None:
    text = world.metrics()
    for intent in ("reserve", "activate", "relieve", "restore", "unknown"):
        for outcome in ("done", "reverted", "failed", "cancelled", "dry_run", "refused"):
            assert f'cpp_actions_total{{intent="{intent}",outcome="{outcome}"}} 0.0' in text
    for state in ("open", "resolved", "expired", "refused"):
        assert f'cpp_orders{{state="{state}"}} 0.0' in text
    assert 'cpp_webhook_rejections_total{code="401"} 0.0' in text


def test_counts_of_actions_survive_a_restart(world: Any, make_world: Any, make_alert: Any) -> None:
    world.post(make_alert())
    world.work()
    line = 'cpp_actions_total{intent="reserve",outcome="done"} 1.0'
    assert line in world.metrics()
    assert line in make_world().metrics()


def test_the_watchdogs_silence_shows(world: Any) -> None:
    assert 'cpp_paused{reason="watchdog_silent"} 0.0' in world.metrics()
    world.clock.pass_by(181)
    assert 'cpp_paused{reason="watchdog_silent"} 1.0' in world.metrics()


def test_a_ledger_that_cannot_be_read_is_said_and_does_not_break_the_scrape(world: Any) -> None:
    assert "cpp_ledger_up 1.0" in world.metrics()
    world.service.ledger.close()
    assert "cpp_ledger_up 0.0" in world.metrics()


def test_a_ledger_that_can_be_read_and_not_written_is_not_up_until_a_change_is_on_disk(
    world: Any, make_alert: Any
) -> None:
    database = world.service.ledger._database._connection
    pages = database.execute("PRAGMA page_count").fetchone()[0]
    database.execute(f"PRAGMA max_page_count = {pages}")
    large = {"description": "x" * 200_000}
    assert world.post(make_alert(annotations=large)) == 503
    world.work()
    assert "cpp_ledger_up 0.0" in world.metrics()
    database.execute("PRAGMA max_page_count = 1000000")
    world.work()
    assert world.post(make_alert(annotations=large)) == 202
    assert "cpp_ledger_up 1.0" in world.metrics()


def test_openmetrics_is_served_to_who_asks_for_it(world: Any) -> None:
    answer = world.service.app.test_client().get("/metrics", headers={"Accept": "application/openmetrics-text"})
    assert answer.get_data(as_text=True).endswith("# EOF\n")


def test_a_change_of_state_is_told_once(world: Any, make_alert: Any) -> None:
    world.clock.pass_by(181)
    world.post(make_alert())
    with capture_logs() as lines:
        for _ in range(4):
            world.work()
            world.clock.pass_by(20)
    assert [line["event"] for line in lines] == ["paused", "refused"]
