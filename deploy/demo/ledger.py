"""What the actuator's ledger and Prometheus say, as plain data."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import requests


@dataclass(frozen=True)
class Verdict:
    """One decision on one order: what was done, or why nothing was."""

    order: int
    number: int
    """Place among the order's decisions."""
    container: str
    intent: str
    resource: str
    alert: str
    seen: str
    """The alert's description: what was forecast or seen."""
    decision: str
    """The plan's or the refusal's reason."""
    refused: bool
    steps: tuple[tuple[str, str, float | None, float | None, float], ...]
    """(kind, state, before, after, epoch seconds at which it ended, else 0)."""
    at: float

    def done(self, kind: str) -> bool:
        """Return whether a step of this kind was done and checked."""
        return any(step[0] == kind and step[1] == "done" for step in self.steps)


@dataclass(frozen=True)
class FiringAlert:
    """An alert that fires in Prometheus."""

    name: str
    container: str
    description: str


def read_verdicts(actuator_url: str) -> list[Verdict]:
    """Return all decisions of the ledger, oldest first; nothing while the actuator cannot be asked."""
    orders = _get_json(f"{actuator_url}/actions").get("actions", [])
    return sorted((verdict for order in orders for verdict in _verdicts(order)), key=lambda verdict: verdict.at)


def read_alerts(prometheus_url: str) -> list[FiringAlert]:
    """Return the alerts that fire now and are about a container."""
    alerts = _get_json(f"{prometheus_url}/api/v1/alerts").get("data", {}).get("alerts", [])
    return [
        FiringAlert(alert["labels"]["alertname"], alert["labels"]["container"], alert["annotations"]["description"])
        for alert in alerts
        if alert["state"] == "firing" and alert["labels"].get("container")
    ]


def _get_json(url: str) -> dict[str, Any]:
    try:
        answer = requests.get(url, timeout=5)
        document: dict[str, Any] = answer.json() if answer.ok else {}
    except (requests.RequestException, ValueError):
        return {}
    return document


def _verdicts(order: dict[str, Any]) -> Iterable[Verdict]:
    for number, decision in enumerate(order["decisions"]):
        yield Verdict(
            order=order["id"],
            number=number,
            container=order["target"]["container"],
            intent=order["intent"],
            resource=order["resource"],
            alert=order["alert"],
            seen=order["reason"],
            decision=decision["reason"],
            refused=decision["kind"] == "refusal",
            steps=tuple(
                (step["kind"], step["state"], step["before"], step["after"], step["finished_at"] or 0.0)
                for step in decision["steps"]
            ),
            at=decision["at"],
        )
