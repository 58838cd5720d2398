"""A simulated cluster: nodes and pods that KWOK keeps, and how to make many objects at once."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import local
from typing import Any

import requests
import yaml

from deploy.cluster.pki import Authority

NODES = 500
PODS = 5000
_REPLICAS = 10
_NAMESPACES = 20
_MAKERS = 8
"""Connections that make objects side by side."""
_LONG_AGO = "2020-01-01T00:00:00Z"
_READY_SINCE = "2020-01-01T00:00:05Z"
_RESOURCES = {"requests": {"cpu": "200m", "memory": "256Mi"}, "limits": {"cpu": "500m", "memory": "512Mi"}}
_NODE_HAS = {"cpu": "16", "memory": "64Gi", "pods": "110"}

Document = dict[str, Any]


@dataclass(frozen=True)
class SimulatedPod:
    """A pod as alerts and Prometheus name it."""

    namespace: str
    name: str
    node: str
    container_id: str

    @property
    def labels(self) -> dict[str, str]:
        """The labels that identify its only container."""
        where = {"node": self.node, "namespace": self.namespace, "pod": self.name}
        return {**where, "container": "main", "container_id": self.container_id}


@dataclass
class Fleet:
    """Makes objects through the API server at ``server``, as its administrator."""

    server: str
    authority: Authority
    _sessions: local = field(default_factory=local)

    def populate(self) -> list[SimulatedPod]:
        """Make nodes, namespaces, workloads, pods, budgets and autoscalers; return the pods."""
        with ThreadPoolExecutor(_MAKERS) as makers:
            list(makers.map(self._make_node, _nodes()))
            list(makers.map(self._open_namespace, range(_NAMESPACES)))
            owners = list(makers.map(self._make_owner, range(PODS // _REPLICAS)))
            return list(makers.map(lambda number: self._make_pod(number, owners[number // _REPLICAS]), range(PODS)))

    def _make_node(self, node: Document) -> None:
        """The API server taints a new node until controllers, of which there are none here, find it Ready."""
        path = f"api/v1/nodes/{self._make('api/v1/nodes', node)['metadata']['name']}"
        merge = {"Content-Type": "application/merge-patch+json"}
        body = json.dumps({"spec": {"taints": None}})
        self._session().patch(f"{self.server}/{path}", data=body, headers=merge, timeout=60).raise_for_status()

    def _open_namespace(self, number: int) -> None:
        name = _namespace(number)
        self._make("api/v1/namespaces", {"metadata": {"name": name, "labels": {"cpp/steer": "enabled"}}})
        self._make(f"api/v1/namespaces/{name}/serviceaccounts", {"metadata": {"name": "default"}})
        self._make(f"apis/policy/v1/namespaces/{name}/poddisruptionbudgets", _budget(number))
        self._make(f"apis/autoscaling/v2/namespaces/{name}/horizontalpodautoscalers", _autoscaler(number))

    def _make_owner(self, number: int) -> Document:
        path = f"apis/apps/v1/namespaces/{_namespace(number)}/replicasets"
        made = self._make(path, _replica_set(number))["metadata"]
        return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "controller": True} | {
            key: made[key] for key in ("name", "uid")
        }

    def _make_pod(self, number: int, owner: Document) -> SimulatedPod:
        namespace, node = _namespace(number // _REPLICAS), _node_name(number % NODES)
        name = f"{owner['name']}-{number % _REPLICAS}"
        metadata = {"name": name, "labels": {"app": owner["name"]}, "ownerReferences": [owner]}
        pod = {"metadata": metadata, "spec": {**_pod_spec(), "nodeName": node}}
        uid = self._make(f"api/v1/namespaces/{namespace}/pods", pod)["metadata"]["uid"]
        return SimulatedPod(namespace, name, node, hashlib.sha256(uid.encode()).hexdigest())

    def _make(self, path: str, document: Document) -> Document:
        answer = self._session().post(f"{self.server}/{path}", json=document, timeout=60)
        answer.raise_for_status()
        made: Document = answer.json()
        return made

    def _session(self) -> requests.Session:
        if not hasattr(self._sessions, "own"):
            session = requests.Session()
            session.trust_env = False  # an authority that the environment names would count for more than our own
            session.cert = (str(self.authority.path("admin.crt")), str(self.authority.path("admin.key")))
            session.verify = str(self.authority.certificate)
            self._sessions.own = session
        own: requests.Session = self._sessions.own
        return own


def kwok_stages() -> str:
    """Return KWOK's configuration: nodes are Ready at once, pods run with an id and resources, both for long."""
    return yaml.safe_dump_all([_stage("Node", _NODE_STATUS), _stage("Pod", _POD_STATUS)])


def _stage(kind: str, template: str) -> Document:
    fresh = {"key": ".status.phase", "operator": "NotIn", "values": ["Running"]}
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": f"{kind.lower()}-runs"},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": kind},
            "selector": {"matchExpressions": [fresh]},
            "next": {"statusTemplate": template},
        },
    }


_NODE_STATUS = f"""
phase: Running
conditions:
- {{type: Ready, status: "True", reason: Simulated, message: kept so, lastTransitionTime: "{_LONG_AGO}"}}
"""
_POD_STATUS = f"""
phase: Running
startTime: "{_LONG_AGO}"
conditions:
- {{type: Ready, status: "True", lastTransitionTime: "{_READY_SINCE}"}}
containerStatuses:
{{{{ $id := .metadata.uid | sha256sum }}}}
{{{{ range .spec.containers }}}}
- name: {{{{ .name }}}}
  image: {{{{ .image }}}}
  imageID: {{{{ .image }}}}
  containerID: "containerd://{{{{ $id }}}}"
  ready: true
  restartCount: 0
  state: {{running: {{startedAt: "{_LONG_AGO}"}}}}
  resources: {{{{ .resources | toJson }}}}
{{{{ end }}}}
"""


def _nodes() -> Iterator[Document]:
    for number in range(NODES):
        name = _node_name(number)
        metadata = {"name": name, "labels": {"kubernetes.io/hostname": name}}
        yield {"metadata": metadata, "status": {"capacity": _NODE_HAS, "allocatable": _NODE_HAS}}


def node_names() -> Iterable[str]:
    """Return the names of all nodes."""
    return map(_node_name, range(NODES))


def _node_name(number: int) -> str:
    return f"node-{number:03}"


def _namespace(number: int) -> str:
    return f"team-{number % _NAMESPACES:02}"


def _pod_spec() -> Document:
    return {"containers": [{"name": "main", "image": "registry.example/service:1", "resources": _RESOURCES}]}


def _replica_set(number: int) -> Document:
    app = {"app": f"service-{number:03}"}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "controller": True}
    owner = {**deployment, "name": app["app"], "uid": f"deployment-{number:03}"}
    template = {"metadata": {"labels": app}, "spec": _pod_spec()}
    spec = {"replicas": _REPLICAS, "selector": {"matchLabels": app}, "template": template}
    return {"metadata": {"name": app["app"], "ownerReferences": [owner]}, "spec": spec}


def _budget(number: int) -> Document:
    """Of a namespace's first workload; without its controller it allows no disruption."""
    selector = {"matchLabels": {"app": f"service-{number:03}"}}
    return {"metadata": {"name": "first"}, "spec": {"minAvailable": 1, "selector": selector}}


def _autoscaler(number: int) -> Document:
    """Of a namespace's second workload, by CPU."""
    whom = {"apiVersion": "apps/v1", "kind": "Deployment", "name": f"service-{number + _NAMESPACES:03}"}
    target = {"type": "Utilization", "averageUtilization": 70}
    metrics = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    return {"metadata": {"name": "second"}, "spec": {"scaleTargetRef": whom, "maxReplicas": 20, "metrics": metrics}}
