"""Whether a pod may be touched at all, by what people wrote on it and where it is."""

from collections.abc import Mapping

from actuator.platforms.errors import RejectedError
from actuator.platforms.kubernetes.documents import Container, Metadata, Pod
from actuator.platforms.kubernetes.owner import kept
from actuator.platforms.own import is_own

OPT_OUT = "cpp/opt-out"
PART = "cpp/part"
"""Label of this system's own pods: which part of it they are."""
_SYSTEM = "kube-system"
_SAID = {"true": True, "false": False}


def opted_out(pod: Pod, namespace: Metadata) -> bool:
    """Tell whether the pod's owner, or its namespace's, opted out; what makes no sense counts as if."""
    return any(_SAID.get(said, True) for said in _words(pod, namespace).values())


def nonsense(pod: Pod, namespace: Metadata) -> str:
    """Return which annotation makes no sense, and the remedy; empty where all do."""
    for where, said in _words(pod, namespace).items():
        if said not in _SAID:
            return f"annotation {OPT_OUT} of the {where} is {said!r}; write true or false"
    try:
        kept(pod)
    except RejectedError as error:
        return str(error)
    return ""


def belongs_to(pod: Pod) -> str:
    """Return who runs the pod and nobody else may touch; empty for nobody."""
    if pod.metadata.namespace == _SYSTEM:
        return _SYSTEM
    maker = pod.metadata.controller
    return "the kubelet, as a static pod" if maker is not None and maker.kind == "Node" else ""


def own_part(pod: Pod, container: Container, namespace: str) -> bool:
    """Tell whether the container is of this system, whose own ``namespace`` is given, or of its monitoring."""
    return pod.metadata.namespace == namespace or PART in pod.metadata.labels or is_own(container.image)


def _words(pod: Pod, namespace: Metadata) -> Mapping[str, str]:
    written = {"pod": pod.metadata.annotations, "namespace": namespace.annotations}
    return {where: annotations[OPT_OUT] for where, annotations in written.items() if OPT_OUT in annotations}
