"""The lease of the actuator's replicas, and the label by which the Service finds the one that leads."""

from datetime import UTC, datetime
from typing import Any

from kubernetes.client import ApiClient, CoordinationV1Api, CoreV1Api

from actuator.leader import DURATION, Lease
from actuator.platforms.errors import GoneError
from actuator.platforms.kubernetes.calls import Calls, Document

NAME = "cpp-actuator"
LABEL = "cpp/leader"
_TIMEOUT = 3.0
_MERGE = "application/merge-patch+json"


class ClusterLease:
    """Implements ``leader.Leases`` with one Lease; the rest of what is written on it stays."""

    def __init__(self, client: ApiClient, namespace: str) -> None:
        # A request that hangs must leave time for another before the lease ends.
        self._leases, self._call = CoordinationV1Api(client), Calls(_TIMEOUT, attempts=1)
        self._namespace = namespace

    def get(self) -> Lease | None:
        """See Leases."""
        try:
            return _lease(self._call(self._leases.read_namespaced_lease, NAME, self._namespace))
        except GoneError:
            return None

    def put(self, holder: str, changes: int, old: Lease | None) -> Lease:
        """See Leases."""
        body = _document(holder, changes, old)
        if old is None:
            return _lease(self._call(self._leases.create_namespaced_lease, self._namespace, body))
        return _lease(self._call(self._leases.replace_namespaced_lease, NAME, self._namespace, body))


class LeaderLabel:
    """Marks the pod of the replica that leads, and no other."""

    def __init__(self, client: ApiClient, namespace: str, pod: str) -> None:
        self._core, self._call = CoreV1Api(client), Calls(_TIMEOUT)
        self._namespace, self._pod = namespace, pod

    def take(self) -> None:
        """Put the label on the own pod and take it from the others. Raises PlatformError."""
        self._mark(self._pod, "true")
        labelled = self._call(self._core.list_namespaced_pod, self._namespace, label_selector=f"{LABEL}=true")
        for item in labelled["items"]:
            if item["metadata"]["name"] != self._pod:
                self._mark(item["metadata"]["name"], None)

    def _mark(self, pod: str, value: str | None) -> None:
        patch = {"metadata": {"labels": {LABEL: value}}}
        self._call(self._core.patch_namespaced_pod, pod, self._namespace, patch, _content_type=_MERGE)


def _lease(document: Document) -> Lease:
    spec = document["spec"]
    duration, changes = spec.get("leaseDurationSeconds", DURATION), spec.get("leaseTransitions", 0)
    version = document["metadata"]["resourceVersion"]
    return Lease(spec.get("holderIdentity") or "", duration, changes, spec.get("renewTime", ""), version)


def _document(holder: str, changes: int, old: Lease | None) -> dict[str, Any]:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    spec = {"leaseDurationSeconds": int(DURATION), "leaseTransitions": changes, "renewTime": now}
    metadata = {"name": NAME} | ({"resourceVersion": old.version} if old else {})
    # An empty holder is refused by the API server; a missing one is nobody.
    return {"metadata": metadata, "spec": spec | ({"holderIdentity": holder} if holder else {})}
