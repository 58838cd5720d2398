"""Bodies of Alertmanager's webhook, version 4: validated leniently, since senders differ and grow new fields."""

import hashlib
import json
from collections.abc import Mapping

from actuator.records import Alert, Delivery

_MOST_TRUNCATED = 1_000_000


class PayloadError(ValueError):
    """What is wrong with the body, and where."""


def parse_delivery(body: bytes) -> Delivery:
    """Return the delivery in ``body``; raise PayloadError."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise PayloadError(f"is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise PayloadError(f"is a JSON {type(document).__name__}, not an object")
    if str(document.get("version", "4")) != "4":
        raise PayloadError(f"version: is {_text(document['version'])!r}; only version 4 is understood")
    alerts = document.get("alerts")
    if not isinstance(alerts, list):
        raise PayloadError("alerts: is no list")
    group_status = _text(document.get("status", "firing"))
    return Delivery(
        receiver=_text(document.get("receiver", "")),
        group_key=_text(document.get("groupKey", "")),
        alerts=tuple(_alert(f"alerts[{i}]", entry, group_status) for i, entry in enumerate(alerts)),
        truncated=_truncated(document.get("truncatedAlerts")),
    )


def _alert(place: str, entry: object, group_status: str) -> Alert:
    if not isinstance(entry, dict):
        raise PayloadError(f"{place}: is no object")
    if "labels" not in entry:
        raise PayloadError(f"{place}.labels: is missing")
    labels = _texts(f"{place}.labels", entry["labels"])
    return Alert(
        fingerprint=_text(entry.get("fingerprint") or _fingerprint(labels)),
        name=labels.get("alertname", ""),
        # A group is firing as long as any of its alerts is, so the alert's own status comes first.
        firing=_text(entry.get("status") or group_status).lower() != "resolved",
        starts_at=_text(entry.get("startsAt", "")),
        labels=labels,
        annotations=_texts(f"{place}.annotations", entry.get("annotations") or {}),
    )


def _texts(place: str, value: object) -> Mapping[str, str]:
    if not isinstance(value, dict):
        raise PayloadError(f"{place}: is no object")
    return {_text(name): _text(content) for name, content in value.items()}


def _text(value: object) -> str:
    """Return ``value`` as text that every store takes: JSON may carry halves of surrogate pairs."""
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value)
    return text.encode("utf-8", "replace").decode()


def _fingerprint(labels: Mapping[str, str]) -> str:
    """Alertmanager before 0.15 sent none."""
    return hashlib.sha256(json.dumps(labels, sort_keys=True).encode()).hexdigest()[:16]


def _truncated(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        return 0
    return min(max(value, 0), _MOST_TRUNCATED)
