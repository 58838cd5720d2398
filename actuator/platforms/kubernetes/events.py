"""What was decided, as an Event on the pod: where its owner looks first."""

import socket
from datetime import UTC, datetime

from actuator.model.decisions import Notice
from actuator.platforms.kubernetes.documents import Pod

_LONGEST = 1024
_CONTROLLER = "cpp-actuator"


def event(pod: Pod, container: str, notice: Notice) -> dict[str, object]:
    """Return an Event of ``events.k8s.io/v1``."""
    regarding = {
        "apiVersion": "v1",
        "kind": "Pod",
        "namespace": pod.metadata.namespace,
        "name": pod.metadata.name,
        "uid": pod.metadata.uid,
        "fieldPath": f"spec.containers{{{container}}}",
    }
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"generateName": f"{pod.metadata.name}.cpp-", "namespace": pod.metadata.namespace},
        "eventTime": datetime.fromtimestamp(notice.at, UTC).isoformat(timespec="microseconds"),
        "reportingController": _CONTROLLER,
        "reportingInstance": socket.gethostname(),
        "action": notice.action,
        "reason": notice.reason,
        "type": "Warning" if notice.warning else "Normal",
        "note": notice.text[:_LONGEST],
        "regarding": regarding,
    }
