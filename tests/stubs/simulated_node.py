"""A node without a kubelet, which KWOK keeps Ready, and its pods with it; no other node is touched."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml

from deploy.cluster.cluster import Cluster
from deploy.demo.children import stop_child

_NODE = """
phase: Running
capacity: {amounts}
allocatable: {amounts}
conditions:
- {{type: Ready, status: "True", reason: Simulated, message: kept so, lastTransitionTime: {{{{ Now | Quote }}}}}}
"""
_POD = """
phase: Running
startTime: {{ Now | Quote }}
conditions:
- {type: Ready, status: "True", lastTransitionTime: {{ Now | Quote }}}
- {type: ContainersReady, status: "True", lastTransitionTime: {{ Now | Quote }}}
containerStatuses:
{{ $id := .metadata.uid | sha256sum }}
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: ""
  containerID: "containerd://{{ $id }}"
  ready: true
  started: true
  restartCount: 0
  state: {running: {startedAt: {{ Now | Quote }}}}
{{ end }}
"""
_FRESH = {"key": ".status.phase", "operator": "NotIn", "values": ["Running"]}
_ENDS = {"key": ".metadata.deletionTimestamp", "operator": "Exists"}
_STAYS = {"key": ".metadata.deletionTimestamp", "operator": "DoesNotExist"}


@contextmanager
def simulated_node(cluster: Cluster, name: str, cpu: str, memory: str) -> Iterator[None]:
    """Have another node until the block ends."""
    amounts = json.dumps({"cpu": cpu, "memory": memory, "pods": "110"})
    kwok = cluster.simulate(yaml.safe_dump_all(_stages(amounts)), name)
    try:
        labels = {"kubernetes.io/hostname": name}
        cluster.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}})
        await_open(cluster, name)
        yield
        cluster.kubectl("delete", "node", name)
    finally:
        stop_child(kwok)


def await_open(cluster: Cluster, *nodes: str) -> None:
    """Wait until the scheduler may use the nodes."""

    def taken(node: str) -> bool:
        found = cluster.get("node", node)
        states = {each["type"]: each["status"] for each in found["status"].get("conditions", [])}
        return states.get("Ready") == "True" and not found["spec"].get("taints")

    cluster.wait_for(lambda: all(map(taken, nodes)), 60, f"{', '.join(nodes)} are Ready and without taints")


def _stages(amounts: str) -> Iterator[dict[str, Any]]:
    yield _stage("Node", "node-runs", [_FRESH], {"statusTemplate": _NODE.format(amounts=amounts)})
    yield _stage("Pod", "pod-runs", [_FRESH, _STAYS], {"statusTemplate": _POD})
    yield _stage("Pod", "pod-ends", [_ENDS], {"finalizers": {"empty": True}, "delete": True})


def _stage(kind: str, name: str, when: list[dict[str, Any]], then: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": name},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": kind},
            "selector": {"matchExpressions": when},
            "next": then,
        },
    }
