"""The shipped rules on live series: they evaluate, fast, and an alert carries what the contract says."""

import re
import time
from pathlib import Path
from typing import Any

import requests

RULES = Path(__file__).parents[2] / "rules"
FROM_THE_CONTRACT = {
    "alertname", "severity", "intent", "resource", "cluster", "node", "namespace", "pod", "container", "container_id",
}  # fmt: skip


def ask(url: str, path: str) -> Any:
    answer = requests.get(f"{url}{path}", timeout=10)
    answer.raise_for_status()
    return answer.json()


def test_every_shipped_rule_is_loaded_and_evaluates_without_error(stack: Any) -> None:
    time.sleep(10)  # several evaluations
    groups = ask(stack.prometheus_url, "/api/v1/rules")["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert {rule["name"]: rule.get("lastError") for rule in rules if rule["health"] != "ok"} == {}
    shipped = {
        name for path in RULES.glob("*.yml") for name in re.findall(r"- (?:alert|record): (\S+)", path.read_text())
    }
    assert {rule["name"] for rule in rules} == shipped
    assert sum(group["evaluationTime"] for group in groups) < 1.0


def test_nothing_is_wrong_with_a_healthy_system(stack: Any) -> None:
    health = set(re.findall(r"- alert: (\S+)", (RULES / "alerts-health.yml").read_text()))
    # The watchdog always fires; the forecast of containers that are minutes old may still be worse than last value.
    health -= {"CppWatchdog", "CppForecastUnhelpful"}
    deadline = time.monotonic() + 90
    while wrong := [alert for alert in ask(stack.prometheus_url, "/api/v1/alerts")["data"]["alerts"]
                    if alert["labels"]["alertname"] in health]:  # fmt: skip
        assert time.monotonic() < deadline, wrong
        time.sleep(2)


def test_a_leak_reaches_alertmanager_with_the_labels_of_the_contract_and_a_readable_reason(stack: Any) -> None:
    stack.run_container("leaky", "leak", "--rate", "500kB/s", "--start", "20MiB", options=["--memory=160m"])
    name = stack.full_name("leaky")
    found: list[dict[str, Any]] = []

    def leak_is_known() -> bool:
        alerts = ask(stack.alertmanager_url, "/api/v2/alerts?filter=alertname%3DCppMemoryLeak")
        found.extend(alert for alert in alerts if alert["labels"]["container"] == name)
        return bool(found)

    stack.wait_for(leak_is_known, 200, "no CppMemoryLeak reached Alertmanager")
    alert = found[0]
    assert alert["labels"].keys() <= FROM_THE_CONTRACT
    assert {"cluster", "node", "container_id"} <= alert["labels"].keys()
    assert (alert["labels"]["intent"], alert["labels"]["resource"]) == ("activate", "memory")
    assert re.search(r"memory limit of 160MiB\s+in [0-9]+m? ?[0-9.]*", alert["annotations"]["description"])
    assert {receiver["name"] for receiver in alert["receivers"]} == {"cpp-actuator", "people"}
