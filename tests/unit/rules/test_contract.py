import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from exporter.publish.catalogue import CATALOGUE

INTENTS = {"reserve", "activate", "release", "reclaim", "relieve", "migrate", "quarantine", "enforce"}
SEVERITIES = {"critical", "warning", "info"}
IDENTITY = ["cluster", "node", "namespace", "pod", "container", "container_id"]
POLICY = {"cpp_policy_violation_active"}  # served once there are policies

Rule = dict[str, Any]
Names = Callable[[str], Iterator[str]]


def actions(alerts: list[Rule]) -> list[Rule]:
    return [alert for alert in alerts if "intent" in alert["labels"]]


def test_every_alert_has_a_severity_and_a_known_intent_or_none(alerts: list[Rule]) -> None:
    for alert in alerts:
        expected = {"none"} if alert["alert"] == "CppWatchdog" else SEVERITIES
        assert alert["labels"]["severity"] in expected, alert["alert"]
        assert alert["labels"].get("intent") in INTENTS | {None}, alert["alert"]
        assert alert["labels"].keys() <= {"severity", "intent", "resource"}, alert["alert"]


def test_every_intent_is_asked_for_by_some_alert(alerts: list[Rule]) -> None:
    assert {alert["labels"]["intent"] for alert in actions(alerts)} == INTENTS


def test_every_alert_tells_a_sentence_a_description_and_a_runbook_that_exists(
    alerts: list[Rule], rules_folder: Path
) -> None:
    for alert in alerts:
        annotations, name = alert["annotations"], alert["alert"]
        assert annotations["summary"].endswith("."), name
        assert "{{" not in annotations["summary"], name
        assert annotations["description"].endswith("."), name
        assert annotations["runbook_url"] == f"rules/runbooks/{name}.md"
        assert (rules_folder.parent / annotations["runbook_url"]).is_file()


def test_every_runbook_belongs_to_an_alert_and_has_its_four_sections(alerts: list[Rule], rules_folder: Path) -> None:
    books = sorted((rules_folder / "runbooks").glob("*.md"))
    assert {book.stem for book in books} == {alert["alert"] for alert in alerts}
    for book in books:
        text = book.read_text()
        assert text.startswith(f"# {book.stem}\n"), book
        assert re.findall(r"^## (.+)$", text, re.M) == ["Meaning", "Impact", "Diagnosis", "Mitigation"], book


def test_names_are_unique_and_begin_alike(alerts: list[Rule]) -> None:
    assert all(re.fullmatch(r"Cpp([A-Z][a-z]+)+", alert["alert"]) for alert in alerts)
    assert max(Counter(alert["alert"] for alert in alerts).values()) == 1


def test_no_action_is_asked_for_on_a_forecast_that_is_not_trusted(alerts: list[Rule]) -> None:
    driven = [alert for alert in actions(alerts) if re.search(r"cpp_(cpu|memory)_forecast", alert["expr"])]
    assert {alert["labels"]["intent"] for alert in driven} == {"reserve", "reclaim", "migrate"}
    for alert in driven:
        resource = alert["labels"]["resource"]
        trust = f'and ignoring (resource) container_resource:cpp_forecast_trusted:min{{resource="{resource}"}} == 1'
        assert trust in " ".join(alert["expr"].split()), alert["alert"]


def test_action_alerts_outlive_a_gap(alerts: list[Rule]) -> None:
    assert all("keep_firing_for" in alert for alert in actions(alerts))


def test_groups_follow_the_global_interval_and_drop_no_alerts(groups: list[Rule]) -> None:
    assert all(group.keys() == {"name", "rules"} for group in groups)
    assert max(Counter(group["name"] for group in groups).values()) == 1


def test_no_expression_names_a_horizon(rules: list[Rule]) -> None:
    assert [rule for rule in rules if "horizon" in rule["expr"]] == []


def test_no_score_is_compared_with_a_number(rules: list[Rule]) -> None:
    scores = "burst|leak|flood|interference_suffered|interference_caused|anomaly|security_risk"
    literal = re.compile(rf"cpp_(\w+_)?({scores})_ratio[^()]*[<>]=?\s*[0-9.]")
    assert [rule for rule in rules if literal.search(rule["expr"])] == []


def test_aggregations_that_name_a_container_name_its_whole_identity(rules: list[Rule]) -> None:
    for rule in rules:
        for labels in re.findall(r"\bby \(([^)]*)\)", rule["expr"]):
            names = labels.split(", ")
            if "container_id" in names:
                assert names in (IDENTITY, [*IDENTITY, "resource"]), rule


def test_action_alerts_are_built_of_aggregated_series_only(alerts: list[Rule]) -> None:
    """A raw series outside of an aggregation would bring its instance, horizon or victim into the alert."""
    for alert in actions(alerts):
        left = re.sub(r"\bby \([^)]*\) \((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)", "", alert["expr"])
        raw = [name for name in re.findall(r"(?<![:\w])cpp_\w+", left) if not name.endswith("_threshold_ratio")]
        assert raw == [], alert["alert"]


def test_every_series_asked_for_is_served_or_recorded(
    rules: list[Rule], metric_names: Names, actuator_names: set[str]
) -> None:
    recorded = {rule["record"] for rule in rules if "record" in rule}
    known = {metric.name for metric in CATALOGUE} | POLICY | actuator_names | recorded
    for rule in rules:
        texts = [rule["expr"], *rule.get("annotations", {}).values()]
        asked = {name for text in texts for name in metric_names(text)}
        assert asked <= known, (rule.get("alert") or rule["record"], asked - known)


def test_every_recorded_series_is_asked_for(rules: list[Rule], metric_names: Names) -> None:
    recorded = {rule["record"] for rule in rules if "record" in rule}
    asked = {name for rule in rules for name in metric_names(rule["expr"])}
    assert recorded <= asked


def test_every_alert_is_tried_in_both_directions(alerts: list[Rule], rules_folder: Path) -> None:
    tried: dict[str, set[bool]] = {}
    for path in (rules_folder / "tests").glob("*.yml"):
        for group in yaml.safe_load(path.read_text())["tests"]:
            for case in group["alert_rule_test"]:
                tried.setdefault(case["alertname"], set()).add(bool(case.get("exp_alerts")))
    for alert in alerts:
        expected = {True} if alert["alert"] == "CppWatchdog" else {True, False}
        assert tried.get(alert["alert"]) == expected, alert["alert"]
