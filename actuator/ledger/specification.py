"""What the object of one container says: its live rows, and for people the gist of them."""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from actuator.ledger.live import Row, Rows
from actuator.ledger.orders import PRECEDENCE
from actuator.model.orders import Target

_PART_OF_NAME = 40
_FIELDS = {
    "node": "node",
    "namespace": "namespace",
    "pod": "pod",
    "container": "container",
    "containerID": "container_id",
}


class UnreadableError(Exception):
    """An object says nothing that could be understood; the message is a clause."""


def name_of(target: str) -> str:
    """Return the name of the object about the container of key ``target``; the same for the same container."""
    _, _, pod, container, _ = json.loads(target)
    plain = re.sub(r"[^a-z0-9]+", "-", (pod or container).lower())[:_PART_OF_NAME].strip("-") or "container"
    return f"{plain}-{hashlib.sha256(target.encode()).hexdigest()[:12]}"


def describe(target: str, rows: Rows, rests_until: float | None) -> dict[str, Any]:
    """Return the specification of the object."""
    whom = Target(*json.loads(target))
    throttles = [row["expires_at"] for row in rows.get("throttles", ()) if "ended_at" not in row]
    return {
        "container": "/".join(filter(None, (whom.namespace, whom.pod, whom.container))),
        "intents": ", ".join(_intents(rows.get("orders", []))),
        "reserved": ", ".join(f"{row['resource']} {row['amount']:.6g}" for row in rows.get("reservations", ())),
        "throttledUntil": _time(max(throttles, default=None)),
        "cooldownUntil": _time(rests_until),
        "target": {field: getattr(whom, name) for field, name in _FIELDS.items()},
        "rows": rows,
    }


def understand(spec: Mapping[str, Any]) -> tuple[str, Rows]:
    """Return the container's key and its live rows; raise UnreadableError for what ``describe`` did not write."""
    target, rows = spec.get("target"), spec.get("rows")
    if not isinstance(target, Mapping) or not all(isinstance(target.get(field, ""), str) for field in _FIELDS):
        raise UnreadableError("its target is no container")
    if not isinstance(rows, Mapping) or not all(_are_rows(each) for each in rows.values()):
        raise UnreadableError("its rows are no rows")
    return json.dumps([target.get(field, "") for field in _FIELDS], ensure_ascii=False), dict(rows)


def _intents(orders: list[Row]) -> list[str]:
    found = {row["intent"] for row in orders if row["state"] == "open"}
    return [intent for intent in PRECEDENCE if intent in found]


def _are_rows(each: object) -> bool:
    return isinstance(each, list) and all(isinstance(row, dict) for row in each)


def _time(epoch: float | None) -> str:
    return "" if epoch is None else datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
