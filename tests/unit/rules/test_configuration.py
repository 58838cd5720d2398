from pathlib import Path
from typing import Any

import pytest
import yaml


@pytest.fixture(scope="module")
def routes(rules_folder: Path) -> list[dict[str, Any]]:
    document = yaml.safe_load((rules_folder / "alertmanager.yml").read_text())
    return [route for route in document["route"]["routes"] if route["receiver"] == "cpp-actuator"]


def test_every_alert_of_an_action_is_delivered_by_itself_and_at_once(routes: list[dict[str, Any]]) -> None:
    for route in routes:
        assert (route["group_by"], route["group_wait"], route["group_interval"]) == (["..."], "0s", "15s")


def test_orders_are_refreshed_every_five_minutes_and_the_watchdog_every_minute(routes: list[dict[str, Any]]) -> None:
    assert [route["repeat_interval"] for route in routes] == ["1m", "5m"]
    assert "CppWatchdog" in routes[0]["matchers"][0]


def test_the_actuator_hears_of_the_end_and_gets_a_token_from_a_file(rules_folder: Path) -> None:
    document = yaml.safe_load((rules_folder / "alertmanager.yml").read_text())
    receiver = next(item for item in document["receivers"] if item["name"] == "cpp-actuator")
    (webhook,) = receiver["webhook_configs"]
    assert webhook["url"].endswith(":17902/alerts")
    assert webhook["send_resolved"] is True
    assert webhook["http_config"]["authorization"].keys() == {"type", "credentials_file"}


def test_every_scrape_keeps_the_labels_that_say_what_a_series_is_about(rules_folder: Path) -> None:
    document = yaml.safe_load((rules_folder / "prometheus.yml").read_text())
    assert all(job["honor_labels"] is True for job in document["scrape_configs"])
    assert "cluster" in document["global"]["external_labels"]


def test_scrape_jobs_have_the_names_that_the_health_alerts_ask_for(
    rules_folder: Path, alerts: list[dict[str, Any]]
) -> None:
    document = yaml.safe_load((rules_folder / "prometheus.yml").read_text())
    jobs = {job["job_name"] for job in document["scrape_configs"]}
    asked = {alert["expr"].split('job="')[1].split('"')[0] for alert in alerts if 'job="' in alert["expr"]}
    assert asked == jobs
