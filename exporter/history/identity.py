"""Who a series is about: labels → container, its workload and its tenant."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_CONTAINER_ID = re.compile(r"[0-9a-f]{64}")
_RUNTIMES = (("docker", "docker"), ("cri-containerd", "containerd"), ("crio", "cri-o"), ("libpod", "podman"))
_NODE_CGROUP = "/"
PODS_CGROUPS = ("/kubepods", "/kubepods.slice", "-kubepods.slice")
"""How the path of the control group ends that holds all pods of a node, and whose limits are what they may have."""
_LONGEST = 256
"""Characters of a label that are kept: Kubernetes allows 253, an image's owner may write any number."""
_COMPOSE = ("container_label_com_docker_compose_project", "container_label_com_docker_compose_service")
_SWARM = "container_label_com_docker_swarm_service_name"


@dataclass(frozen=True)
class Identity:
    """A container (or a pod's network, whose ``container`` is empty) and what it belongs to."""

    key: str
    """Unique on the node at one time: the container's id, or the pod's name for a pod's network."""
    namespace: str = ""
    pod: str = ""
    container: str = ""
    container_id: str = ""
    workload: str = ""
    tenant: str = ""
    image: str = ""
    runtime: str = ""


NODE = Identity(key=_NODE_CGROUP)
"""The whole node, remembered beside the containers for its own forecast."""


def identify(labels: Mapping[str, str], node: str | tuple[str, ...] = _NODE_CGROUP) -> Identity | None:
    """Return whom these labels speak of; None for cgroups that are no container, such as slices and pods.

    The node is the cgroup whose path ends with ``node``. Kubelets name pause containers "POD" or leave the name empty;
    those count only as the pod itself, whose network they hold.
    """
    path = labels.get("id", "")
    if path.endswith(node):
        return NODE
    if "container_id" in labels:
        path = labels["container_id"]
    found = _CONTAINER_ID.search(path) or _CONTAINER_ID.search(labels.get("name", ""))
    if labels.get("pod"):
        return _in_pod(labels, found[0] if found else "", path)
    return _on_docker(labels, found[0], path) if found and _ends(found) else None


def _ends(found: re.Match[str]) -> bool:
    """Whether the path ends with the first id: a container's cgroup already counts what is in those below it."""
    return found.string[found.end() :] in ("", ".scope")


def _in_pod(labels: Mapping[str, str], container_id: str, path: str) -> Identity:
    namespace, pod, container = _named(labels, "namespace", "pod", "container")
    if container in ("", "POD"):
        workload = f"{namespace}/{_owner(pod)}/"
        return Identity(key=f"pod:{namespace}/{pod}", namespace=namespace, pod=pod, workload=workload, tenant=namespace)
    return Identity(
        key=container_id or f"pod:{namespace}/{pod}/{container}",
        namespace=namespace,
        pod=pod,
        container=container,
        container_id=container_id,
        workload=f"{namespace}/{_owner(pod)}/{container}",
        tenant=namespace,
        image=_named(labels, "image")[0],
        runtime=_runtime(path),
    )


def _owner(pod: str) -> str:
    """Guess the owner from the pod's name, as controllers build it: name[-template hash][-random]."""
    return re.sub(r"(-[bcdf-hj-np-tv-z0-9]{8,10})?-[bcdf-hj-np-tv-z0-9]{5}$|-\d+$", "", pod)


def _on_docker(labels: Mapping[str, str], container_id: str, path: str) -> Identity:
    name, image, project, service = _named(labels, "name", "image", *_COMPOSE)
    workload, swarm, tenant = _named(labels, "container_label_cpp_workload", _SWARM, "container_label_cpp_tenant")
    composed = f"{project}/{service}" if service else ""
    return Identity(
        key=container_id,
        container=name,
        container_id=container_id,
        workload=workload or swarm or composed or name,
        tenant=tenant or project,
        image=image,
        runtime=_runtime(path),
    )


def _named(labels: Mapping[str, str], *names: str) -> list[str]:
    return [labels.get(name, "")[:_LONGEST] for name in names]


def _runtime(path: str) -> str:
    return next((runtime for mark, runtime in _RUNTIMES if mark in path), "")
