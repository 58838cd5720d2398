"""One pod on one node of a stub API server, and the platform that acts on it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from apiserver.nodes import Kubelet, node, pod
from apiserver.server import StubApiServer
from apiserver.store import Object
from kubernetes.client import ApiClient, Configuration

from actuator.model.orders import Target
from actuator.platforms.kubernetes.api import Api
from actuator.platforms.kubernetes.platform import KubernetesPlatform
from actuator.platforms.settings import KubernetesConfig

MIB = 2**20
REQUESTS = {"cpu": "250m", "memory": str(64 * MIB)}
LIMITS = {"cpu": "500m", "memory": str(128 * MIB)}


@dataclass
class Clock:
    """A monotonic clock that passes only where somebody sleeps, or by hand."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Shop:
    """Pod ``web-1`` in namespace ``shop`` on node ``n1``, whose kubelet a test may make unwilling."""

    server: StubApiServer
    api: Api
    clock: Clock = field(default_factory=Clock)
    in_use: float | None = 10.0 * MIB

    def __post_init__(self) -> None:
        self.kubelet = Kubelet(self.server.store)
        self.server.store.watchers.append(self.kubelet)
        self.server.add("nodes", node("n1", cpu="3920m"))
        for name in ("shop", "kube-system", "cpp-system"):
            self.server.add("namespaces", {"metadata": {"name": name}})
        self.settings = KubernetesConfig(resize_patience=30.0)
        self.platform = KubernetesPlatform(self.api, self.settings, self.memory, self.clock, self.clock.sleep)

    def memory(self, _target: Target) -> float | None:
        return self.in_use

    def run(
        self,
        name: str = "web-1",
        namespace: str = "shop",
        requests: dict[str, str] = REQUESTS,
        limits: dict[str, str] = LIMITS,
        **metadata: Any,
    ) -> Target:
        """Run a pod; return its container."""
        made = pod(name, namespace, requests, limits, nodeName="n1")
        made["metadata"] |= metadata
        self.server.add("pods", made)
        return self.target(name, namespace)

    def target(self, name: str = "web-1", namespace: str = "shop") -> Target:
        status = self.pod(name, namespace)["status"]["containerStatuses"][0]
        return Target("n1", namespace, name, "main", status["containerID"].rpartition("/")[2])

    def pod(self, name: str = "web-1", namespace: str = "shop") -> Object:
        """The very pod, to look at and to change."""
        return self.server.store.get("pods", namespace, name)

    def resources(self, name: str = "web-1") -> Any:
        """What is asked for."""
        return self.pod(name)["spec"]["containers"][0]["resources"]

    def annotations(self, name: str = "web-1") -> dict[str, str]:
        return self.pod(name)["metadata"].get("annotations", {})

    def restart_container(self, name: str = "web-1") -> Target:
        """Let the container begin anew under another id; its limits stay."""
        self.pod(name)["status"]["containerStatuses"][0]["containerID"] = f"containerd://{'f' * 64}"
        return self.target(name)

    def events(self) -> list[Object]:
        return self.server.store.find("events")


@contextmanager
def opened(server: StubApiServer) -> Iterator[Shop]:
    """A shop on a server that runs."""
    configuration = Configuration(host=server.url)
    configuration.retries = False
    client = ApiClient(configuration)
    yield Shop(server, Api(client, 5.0))
    client.close()
