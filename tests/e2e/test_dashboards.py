"""Every panel's PromQL against the live Prometheus, with the variables as Grafana would fill them."""

import json
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests

DASHBOARDS = Path(__file__).parents[2] / "grafana" / "dashboards"
PATIENCE = 200.0
RARE = {
    "Refusals": "needs an order to have been refused",
    "Throttle in force": "needs a culprit",
    "Throttles in force": "needs a culprit",
    "Trouble caused to": "needs a culprit",
    "Troublemakers": "needs a culprit",
    "Reserved CPU": "needs a forecast over the limit",
    "Reserved memory": "needs a forecast over the limit",
    "Reserved CPU of the nodes": "needs a forecast over the limit",
    "Reservation due in": "needs a forecast over the limit",
    "Reasons of high scores": "needs a high score",
}


def panels(name: str) -> list[tuple[str, str]]:
    """Title of panel and target, and the expression."""
    dashboard = json.loads((DASHBOARDS / f"{name}.json").read_text())
    return [
        (f"{panel['title']}: {target['legendFormat']}", target["expr"])
        for panel in dashboard["panels"]
        for target in panel.get("targets", [])
    ]


def is_rare(title: str) -> bool:
    return title.split(": ")[1] in RARE


def fill(expression: str, values: Mapping[str, str]) -> str:
    return re.sub(r"\$(\w+)", lambda match: values[match[1]], expression)


def ask(prometheus: str, path: str, **parameters: str) -> Any:
    answer = requests.get(f"{prometheus}/api/v1/{path}", params=parameters, timeout=10).json()
    assert answer["status"] == "success", (parameters, answer)
    return answer["data"]


def without_data(prometheus: str, values: Mapping[str, str], since: float) -> set[str]:
    """Panels that were empty at every moment since then; what has been and is over counts."""
    window = {"start": f"{since:.0f}", "end": f"{time.time():.0f}", "step": "2"}
    return {
        f"{name}: {title}"
        for name in ("container", "fleet")
        for title, expression in panels(name)
        if not ask(prometheus, "query_range", query=fill(expression, values), **window)["result"]
    }


def test_every_panel_finds_data_unless_it_waits_for_a_rare_event(stack: Any) -> None:
    since = time.time()
    stack.run_container("panels", "leak", "--rate", "500kB/s", "--start", "20MiB", options=["--cpus=0.9", "-m", "160m"])
    values = {"node": ".*", "namespace": ".*", "pod": ".*", "container": stack.full_name("panels")}
    values |= {"horizon": stack.parts.pace.forecast["horizons"][0], "__rate_interval": "20s"}
    missing = {"nothing asked yet"}
    while missing and time.time() < since + PATIENCE:
        time.sleep(5.0)
        missing = {title for title in without_data(stack.prometheus_url, values, since) if not is_rare(title)}
    assert missing == set()


def test_every_panel_said_to_be_rare_exists() -> None:
    titles = {title.split(": ")[0] for name in ("container", "fleet") for title, _ in panels(name)}
    assert RARE.keys() <= titles
