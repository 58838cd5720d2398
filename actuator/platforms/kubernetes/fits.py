"""Whether a node takes a pod, by what both say; whether it has room is another matter."""

from collections.abc import Iterator, Sequence

from actuator.platforms.kubernetes.documents import Node, Pod
from actuator.platforms.kubernetes.scheduling import NodeChoice, PodTerm, Taint

_KEEPS_AWAY = ("NoSchedule", "NoExecute")


class Neighbours:
    """Running pods, each with the node it is on."""

    def __init__(self, pods: Sequence[tuple[Pod, Node]]) -> None:
        self._pods = pods
        self._picky = [(pod, at) for pod, at in pods if pod.spec.affinity.pod_anti_affinity.required]

    def in_domain(self, node: Node, key: str, but: Pod) -> Iterator[Pod]:
        """Yield the other pods whose nodes have the same value of the label ``key``; none where ``node`` has none."""
        value = node.metadata.labels.get(key)
        if value is not None:
            yield from (pod for pod, at in _others(self._pods, but) if at.metadata.labels.get(key) == value)

    def picky(self, but: Pod) -> Iterator[tuple[Pod, Node]]:
        """Yield the other pods that do not want certain pods near."""
        return _others(self._picky, but)


def _others(pods: Sequence[tuple[Pod, Node]], but: Pod) -> Iterator[tuple[Pod, Node]]:
    return (each for each in pods if each[0] is not but)


def barrier(pod: Pod, node: Node, others: Neighbours, volumes: Sequence[NodeChoice]) -> str:
    """Return why the pod cannot run on the node; empty where it can.

    ``others`` are all pods, ``volumes`` the nodes from which its volumes can be reached.
    """
    return (
        _closed(node)
        or _lacking(pod, node)
        or _not_chosen(pod, node)
        or _tainted(pod, node)
        or _out_of_reach(node, volumes)
        or _company(pod, node, others)
    )


def _closed(node: Node) -> str:
    if node.spec.unschedulable:
        return "it is cordoned"
    ready = any(each.type == "Ready" and each.status == "True" for each in node.status.conditions)
    return "" if ready else "it is not Ready"


def _lacking(pod: Pod, node: Node) -> str:
    asked = {resource for container in pod.spec.containers for resource in container.resources.requests}
    missing = sorted(asked - set(node.status.allocatable))
    return f"it has no {missing[0]}" if missing else ""


def _not_chosen(pod: Pod, node: Node) -> str:
    name, labels = node.metadata.name, node.metadata.labels
    for key, value in pod.spec.node_selector.items():
        if labels.get(key) != value:
            return f"the pod's nodeSelector wants {key}={value}"
    required = pod.spec.affinity.node_affinity.required
    if required is not None and not required.matches(name, labels):
        return "the pod's required node affinity leaves it out"
    return ""


def _tainted(pod: Pod, node: Node) -> str:
    for taint in node.spec.taints:
        if taint.effect in _KEEPS_AWAY and not any(each.covers(taint) for each in pod.spec.tolerations):
            return f"the pod does not tolerate its taint {_text(taint)}"
    return ""


def _text(taint: Taint) -> str:
    return f"{taint.key}={taint.value}:{taint.effect}" if taint.value else f"{taint.key}:{taint.effect}"


def _out_of_reach(node: Node, volumes: Sequence[NodeChoice]) -> str:
    if all(choice.matches(node.metadata.name, node.metadata.labels) for choice in volumes):
        return ""
    return "a volume of the pod cannot be reached from it"


def _company(pod: Pod, node: Node, others: Neighbours) -> str:
    affinity = pod.spec.affinity
    for term in affinity.pod_anti_affinity.required:
        if (other := _met(term, pod, node, others)) is not None:
            return f"the pod must not be near {_name(other)}"
    for term in affinity.pod_affinity.required:
        if _met(term, pod, node, others) is None:
            return "the pod must be near one that is not there"
    return _unwelcome(pod, node, others)


def _met(term: PodTerm, pod: Pod, node: Node, others: Neighbours) -> Pod | None:
    here = others.in_domain(node, term.topology_key, pod)
    return next((other for other in here if _means(term, other, pod)), None)


def _unwelcome(pod: Pod, node: Node, others: Neighbours) -> str:
    """Anti-affinity holds both ways: who is there may not want this pod near."""
    for other, at in others.picky(pod):
        for term in other.spec.affinity.pod_anti_affinity.required:
            value = at.metadata.labels.get(term.topology_key)
            near = value is not None and value == node.metadata.labels.get(term.topology_key)
            if near and _means(term, pod, other):
                return f"{_name(other)} does not want the pod near"
    return ""


def _means(term: PodTerm, meant: Pod, by: Pod) -> bool:
    return term.means(meant.metadata.namespace, meant.metadata.labels, by.metadata.namespace)


def _name(pod: Pod) -> str:
    return f"{pod.metadata.namespace}/{pod.metadata.name}"
