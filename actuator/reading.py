"""What an alert's labels ask for."""

from collections.abc import Mapping

from actuator.model.decisions import Refusal
from actuator.model.orders import Intent, Target
from actuator.records import Alert, Reading, Wish

WATCHDOG = "CppWatchdog"

_IDENTITY = ("node", "namespace", "pod", "container", "container_id")
_RESOURCES = ("", "cpu", "memory", "disk_io", "network_io", "file_descriptors", "threads", "memory_bandwidth")


def is_watchdog(alert: Alert, cluster: str) -> bool:
    """Tell whether the alert says that the way from our Prometheus to here works."""
    return alert.name == WATCHDOG and alert.firing and alert.labels.get("cluster", "") == cluster


def read_alert(alert: Alert, cluster: str) -> Reading:
    """Return the wish in the alert, a refusal, or None where it asks for no action."""
    if alert.name == WATCHDOG or not alert.labels.get("intent"):
        return Reading(alert, None)
    return Reading(alert, _refusal(alert, cluster) or _wish(alert))


def _refusal(alert: Alert, cluster: str) -> Refusal | None:
    labels = alert.labels
    exported = [name for name in labels if name.startswith("exported_")]
    intents = [str(intent) for intent in Intent]
    if exported:
        return _final("exported_labels", f"carries {exported[0]}: the scrape configuration lacks honor_labels: true")
    if labels.get("cluster", "") != cluster:
        return _final(
            "foreign_cluster", f"is of cluster {labels.get('cluster', '')!r}, this actuator serves {cluster!r}"
        )
    if labels["intent"] not in intents:
        return _final("unknown_intent", f"has intent {labels['intent']!r}; known are {', '.join(intents)}")
    if labels.get("resource", "") not in _RESOURCES:
        return _final("unknown_resource", f"has resource {labels['resource']!r}; known are {', '.join(_RESOURCES[1:])}")
    return _unnamed(labels)


def _unnamed(labels: Mapping[str, str]) -> Refusal | None:
    if not any(labels.get(name) for name in ("pod", "container", "container_id")):
        return _final("no_container", "names neither container nor pod")
    if not labels.get("container_id"):
        return _final("no_container_id", "has no container_id, by which containers are told apart")
    return None


def _wish(alert: Alert) -> Wish:
    labels = alert.labels
    target = Target(*(labels.get(name, "") for name in _IDENTITY))
    reason = alert.annotations.get("description") or alert.annotations.get("summary", "")
    severity = labels.get("severity", "")
    return Wish(target, labels.get("resource", ""), Intent(labels["intent"]), severity, reason)


def _final(reason: str, detail: str) -> Refusal:
    return Refusal(reason, f"the alert {detail}", retryable=False)
