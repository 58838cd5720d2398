"""Send the replacement of a pod that moves to where room is held for it."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog

from actuator.ledger.protocol import Ledger
from actuator.moving import Hands
from actuator.placement import MOVED_AT, MOVED_FROM
from actuator.platforms.errors import PlatformError
from actuator.records import Migration

_WEIGHT = 100
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_log = structlog.get_logger(__name__)

Patch = list[dict[str, Any]]
"""Operations of a JSON patch."""


class Steering:
    """Knows, from the ledger, whose next pod goes where. ``clock`` gives epoch seconds."""

    def __init__(self, ledger: Ledger, hands: Hands, clock: Callable[[], float]) -> None:
        self._ledger, self._hands, self._clock = ledger, hands, clock
        self._used: set[str] = set()
        self._lock = threading.Lock()

    def patch(self, pod: Mapping[str, Any], namespace: str, dry_run: bool) -> Patch:
        """Return what to change in a pod that is about to be made; nothing for all but the one replacement.

        The room held for it is freed in the same breath, so that the scheduler finds it free. Raises LedgerError.
        """
        at = self._clock()
        underway = self._ledger.migrations()
        migration = next((each for each in underway if _is_for(each, pod, at)), None)
        if migration is None:
            return []
        self._used &= {each.steps["evict"].step.uid for each in underway}
        if not dry_run and not self._take(migration, namespace):
            return []
        return _changes(pod, migration, at)

    def _take(self, migration: Migration, namespace: str) -> bool:
        """Free the room; False where another pod has been sent there already."""
        uid = migration.steps["evict"].step.uid
        with self._lock:
            try:
                # A pod that was steered and refused after that, by a quota for example, is made once more.
                if uid in self._used and self._hands.steered(namespace, uid):
                    return False
                self._used.add(uid)
                self._hands.clear(uid)
            except PlatformError as error:  # steered all the same: a pod outranks what is held for it
                _log.warning("room not freed", uid=uid, error=str(error))
        _log.info("steered", order=migration.order_id, namespace=namespace, node=migration.node)
        return True


def _is_for(migration: Migration, pod: Mapping[str, Any], at: float) -> bool:
    owners = pod.get("metadata", {}).get("ownerReferences") or []
    uids = {owner.get("uid") for owner in owners if owner.get("controller")}
    return migration.controller in uids and migration.steers(at)


def _changes(pod: Mapping[str, Any], migration: Migration, at: float) -> Patch:
    marks = {MOVED_FROM: migration.steps["evict"].step.uid, MOVED_AT: f"{at:.0f}"}
    annotations = {**(pod["metadata"].get("annotations") or {}), **marks}
    affinity = pod.get("spec", {}).get("affinity") or {}
    for_nodes = affinity.get("nodeAffinity") or {}
    wishes: Sequence[object] = for_nodes.get(_PREFERRED) or ()
    for_nodes = {**for_nodes, _PREFERRED: [*wishes, _preference(migration.node)]}
    return [
        {"op": "add", "path": "/metadata/annotations", "value": annotations},
        {"op": "add", "path": "/spec/affinity", "value": {**affinity, "nodeAffinity": for_nodes}},
    ]


def _preference(node: str) -> dict[str, Any]:
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    return {"weight": _WEIGHT, "preference": term}
