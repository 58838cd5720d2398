"""Writes docs/alerts.md from the rules; a test fails where it is stale. Run it after each change of an alert."""

from pathlib import Path
from typing import Any

import yaml

RULES = Path(__file__).parent
PAGE = RULES.parent / "docs" / "alerts.md"
HEAD = """# Alerts

Generated from `rules/` by `rules/index.py`. An alert with an intent is an order to the actuator, which asks its
condition again before it acts; the others are for people. Where no resource is fixed, the alert may carry that of its
series. Each name leads to its runbook.

| alert | severity | intent | resource | after | tells that |
|---|---|---|---|---|---|
"""
SETTINGS = """
## Settings
Limits of the rules are series, recorded in `rules/recording.yml`; change them there. Where a score becomes an alarm is
set in the exporter's configuration (`assess.thresholds`) and served as `cpp_alarm_threshold_ratio`.

| series | value |
|---|---|
"""


def render() -> str:
    """Return the page."""
    groups = [group for path in sorted(RULES.glob("*.yml")) for group in _load(path).get("groups", [])]
    alerts = [_row(rule) for group in groups for rule in group["rules"] if "alert" in rule]
    settings = next(group["rules"] for group in groups if group["name"] == "cpp-settings")
    values = [f"| `{rule['record']}` | {rule['expr'].removeprefix('vector(').rstrip(')')} |" for rule in settings]
    return HEAD + "\n".join(alerts) + "\n" + SETTINGS + "\n".join(values) + "\n"


def _load(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(path.read_text())
    return loaded


def _row(rule: dict[str, Any]) -> str:
    name, labels = rule["alert"], rule["labels"]
    link = f"[{name}](../rules/runbooks/{name}.md)"
    cells = (
        link, labels["severity"], labels.get("intent", ""), labels.get("resource", ""), rule.get("for", "at once"),
    )  # fmt: skip
    return "| " + " | ".join((*cells, rule["annotations"]["summary"])) + " |"


if __name__ == "__main__":
    PAGE.write_text(render())
