"""A kubelet's list of pods → whose each container is, and what it asked for."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

_log = structlog.get_logger(__name__)
_LONGEST = 253
"""Characters of a name or an annotation that are kept, as many as a name of Kubernetes may have."""
_QUANTITY = re.compile(r"(\d+\.?\d*|\.\d+)(?:[eE]([+-]?\d{1,2})|([numkKMGTPE]i?))?")
_FACTORS = {"": 1.0, "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18} | {
    f"{unit}i": 1024.0**power for power, unit in enumerate("KMGTPE", start=1)
}
_SCHEDULED = re.compile(r"-\d{8,10}$")
"""What a CronJob puts behind its own name: the minute that a Job was due."""
_SOURCE = "kubernetes.io/config.source"
_FROM_API = "api"


class PodsError(ValueError):
    """The text is no list of pods."""


@dataclass(frozen=True)
class PodContainer:
    """One container of a pod; init containers and sidecars too."""

    image: str
    runtime: str
    """Name of what runs it, such as containerd; empty before it runs."""
    cpu_request: float
    """Cores in force; NaN where unset."""
    memory_request: float
    """Bytes in force; NaN where unset."""


@dataclass(frozen=True)
class Pod:
    """One pod of the node."""

    workload: str
    """Name of what made it, the Deployment and not its ReplicaSet; or what an annotation says."""
    tenant: str
    containers: Mapping[str, PodContainer]
    """By name."""


Pods = Mapping[tuple[str, str], Pod]
"""By namespace and name."""


def parse_pods(chunks: Iterable[bytes]) -> Pods:
    """Return what a kubelet's ``/pods`` says; raise PodsError.

    A pod that makes no sense is left out. Of two of one name the one that is not being deleted counts.
    """
    text = b"".join(chunks)
    try:
        items = json.loads(text)["items"] or []
        items = sorted(items, key=lambda item: "deletionTimestamp" not in item["metadata"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise PodsError(f"no list of pods in what begins {text[:40]!r}") from error
    return dict(found for item in items if (found := _pod(item)) is not None)


def _pod(item: dict[str, Any]) -> tuple[tuple[str, str], Pod] | None:
    try:
        metadata, spec = item["metadata"], item["spec"]
        (namespace, name), said = _name(metadata), _said(metadata)
        pod = Pod(
            workload=said.get("cpp/workload") or _owner(metadata, spec.get("nodeName", "")),
            tenant=said.get("cpp/tenant") or namespace,
            containers=_containers(spec, item.get("status") or {}),
        )
        return (namespace, name), pod
    except (KeyError, TypeError, AttributeError) as error:
        _log.warning("pod left out", pod=str(item)[:120], reason=repr(error))
        return None


def _name(metadata: dict[str, Any]) -> tuple[str, str]:
    namespace, name = metadata["namespace"], metadata["name"]
    if not isinstance(namespace, str) or not isinstance(name, str):
        raise TypeError("namespace and name must be texts")
    return namespace, name


def _said(metadata: dict[str, Any]) -> dict[str, str]:
    """Return what people wrote on a pod; an annotation counts more than a label."""
    written = (metadata.get("labels") or {}) | (metadata.get("annotations") or {})
    return {key: str(value).strip()[:_LONGEST] for key, value in written.items() if key.startswith("cpp/")}


def _owner(metadata: dict[str, Any], node: str) -> str:
    name: str = metadata["name"]
    if (metadata.get("annotations") or {}).get(_SOURCE, _FROM_API) != _FROM_API:
        return name.removesuffix(f"-{node}")  # a static pod, named after its file and the node
    controllers = [owner for owner in metadata.get("ownerReferences") or [] if owner.get("controller")]
    if not controllers:
        return name
    kind, owner = controllers[0]["kind"], str(controllers[0]["name"])
    if kind == "ReplicaSet":
        return owner.removesuffix(f"-{(metadata.get('labels') or {}).get('pod-template-hash', '')}")
    return _SCHEDULED.sub("", owner) if kind == "Job" else owner


def _containers(spec: dict[str, Any], status: dict[str, Any]) -> dict[str, PodContainer]:
    states: dict[str, dict[str, Any]] = {
        state["name"]: state
        for kind in ("initContainerStatuses", "containerStatuses")
        for state in status.get(kind) or []
    }
    return {
        each["name"]: _container(each, states.get(each["name"], {}))
        for kind in ("initContainers", "containers", "ephemeralContainers")
        for each in spec.get(kind) or []
    }


def _container(asked: dict[str, Any], state: dict[str, Any]) -> PodContainer:
    """Take what is in force from the status; what was asked may wait for room on the node."""
    requests = ((state.get("resources") or asked.get("resources") or {}).get("requests")) or {}
    return PodContainer(
        image=str(asked.get("image", ""))[:_LONGEST],
        runtime=str(state.get("containerID", "")).partition("://")[0],
        cpu_request=quantity(requests.get("cpu")),
        memory_request=quantity(requests.get("memory")),
    )


def quantity(text: object) -> float:
    """Return cores or bytes of a quantity such as ``250m`` or ``64Mi``; NaN for what is none."""
    found = _QUANTITY.fullmatch(str(text))
    if found is None:
        return math.nan
    number, power, unit = found.groups()
    return float(number) * (10.0 ** int(power) if power else _FACTORS.get(unit or "", math.nan))
