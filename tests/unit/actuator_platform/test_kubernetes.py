import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import stamina
from kubernetes.client import ApiClient, Configuration

from actuator.model import Target
from actuator.platforms.errors import ConflictError, GoneError, RejectedError, UnavailableError
from actuator.platforms.kubernetes.api import Api
from actuator.platforms.kubernetes.platform import KubernetesPlatform

ID = "c" * 64
MIB = 2**20
TARGET = Target("n1", "shop", "web-1", "main", ID)


class StubCluster(ThreadingHTTPServer):
    """An API server with one pod and one node on a real socket; ``kubelet`` does what a kubelet would do."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pod = pod()
        self.kubelet: Callable[[dict[str, Any]], None] = agree
        self.patches: list[Any] = []
        self.refusals: list[tuple[int, dict[str, str], str]] = []

    @property
    def container(self) -> dict[str, Any]:
        found: dict[str, Any] = self.pod["spec"]["containers"][0]
        return found

    @property
    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.pod["status"]["containerStatuses"][0]
        return found

    def resize(self, patch: dict[str, Any]) -> None:
        self.patches.append(patch)
        (wish,) = patch["spec"]["containers"]
        for part, amounts in wish["resources"].items():
            self.container["resources"].setdefault(part, {}).update(amounts)
        self.kubelet(self.pod)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: StubCluster

    def do_GET(self) -> None:
        node = {"metadata": {"name": "n1"}, "status": {"allocatable": {"cpu": "3920m", "memory": "8Gi"}}}
        known = {"/api/v1/namespaces/shop/pods/web-1": self.server.pod, "/api/v1/nodes/n1": node}
        self._answer(known.get(self.path))

    def do_PATCH(self) -> None:
        patch = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.path == "/api/v1/namespaces/shop/pods/web-1/resize"
        if not self.server.refusals:
            self.server.resize(patch)
        self._answer(self.server.pod)

    def _answer(self, document: Any) -> None:
        status, headers = (404, {}) if document is None else (200, {})
        body = document or {"message": "not found"}
        if self.server.refusals:
            status, headers, message = self.server.refusals.pop(0)
            body = {"message": message}
        raw = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(raw)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: object) -> None:
        pass


def pod() -> dict[str, Any]:
    resources = {"requests": {"cpu": "250m", "memory": "64Mi"}, "limits": {"cpu": "500m", "memory": "64Mi"}}
    started = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
    status = {"name": "main", "containerID": f"containerd://{ID}", "state": started, "resources": resources}
    return {
        "metadata": {"name": "web-1", "namespace": "shop", "uid": "u1"},
        "spec": {"nodeName": "n1", "containers": [{"name": "main", "resources": json.loads(json.dumps(resources))}]},
        "status": {"phase": "Running", "qosClass": "Burstable", "containerStatuses": [status]},
    }


def agree(pod: dict[str, Any]) -> None:
    pod["status"]["containerStatuses"][0]["resources"] = json.loads(
        json.dumps(pod["spec"]["containers"][0]["resources"])
    )
    pod["status"]["conditions"] = []


def postpone(reason: str) -> Callable[[dict[str, Any]], None]:
    """A kubelet that does not give more than half a core."""

    def kubelet(pod: dict[str, Any]) -> None:
        if pod["spec"]["containers"][0]["resources"]["limits"]["cpu"] == "500m":
            agree(pod)
            return
        pending = {"type": "PodResizePending", "status": "True", "reason": reason, "message": "no room"}
        pod["status"]["conditions"] = [pending]

    return kubelet


@pytest.fixture
def cluster() -> Iterator[StubCluster]:
    with StubCluster() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with stamina.set_testing(True, attempts=3):
            yield server
        server.shutdown()


@pytest.fixture
def platform(cluster: StubCluster) -> Iterator[KubernetesPlatform]:
    client = ApiClient(Configuration(host=f"http://127.0.0.1:{cluster.server_port}"))
    now = [0.0]
    yield KubernetesPlatform(
        Api(client, 5.0), 30.0, clock=lambda: now[0], sleep=lambda seconds: now.__setitem__(0, now[0] + seconds)
    )
    client.close()


def test_what_a_container_has_is_what_the_kubelet_says(platform: KubernetesPlatform) -> None:
    found = platform.inspect(TARGET)
    assert found is not None
    assert (found.cpu_limit, found.memory_limit) == (0.5, 64 * MIB)
    assert (found.host_cpu, found.host_memory) == (3.92, 8 * 2**30)
    assert found.running
    assert found.started_at == 1767225600.0


def test_a_raised_limit_takes_its_request_along(platform: KubernetesPlatform, cluster: StubCluster) -> None:
    platform.set_limit(TARGET, "cpu", 0.8)
    assert cluster.container["resources"]["limits"]["cpu"] == "800m"
    assert cluster.container["resources"]["requests"]["cpu"] == "400m"
    assert platform.kernel_value(TARGET, "cpu").limit == 0.8


def test_a_guaranteed_pod_stays_guaranteed(platform: KubernetesPlatform, cluster: StubCluster) -> None:
    cluster.pod["status"]["qosClass"] = "Guaranteed"
    cluster.container["resources"]["requests"]["cpu"] = "500m"
    platform.set_limit(TARGET, "cpu", 0.7)
    assert cluster.container["resources"]["requests"]["cpu"] == cluster.container["resources"]["limits"]["cpu"]


@pytest.mark.parametrize(
    ("reason", "error"), [("Infeasible", RejectedError), ("Deferred", ConflictError), ("Error", ConflictError)]
)
def test_a_resize_that_does_not_come_is_taken_back(
    platform: KubernetesPlatform, cluster: StubCluster, reason: str, error: type[Exception]
) -> None:
    cluster.kubelet = postpone(reason)
    with pytest.raises(error, match="no room"):
        platform.set_limit(TARGET, "cpu", 4.0)
    assert cluster.container["resources"] == pod()["spec"]["containers"][0]["resources"]
    assert len(cluster.patches) == 2


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"resizePolicy": [{"resourceName": "cpu", "restartPolicy": "RestartContainer"}]}, "resizePolicy"),
        ({"resizePolicy": [{"resourceName": "memory", "restartPolicy": "RestartContainer"}]}, None),
    ],
)
def test_a_resize_that_would_restart_is_refused(
    platform: KubernetesPlatform, cluster: StubCluster, change: dict[str, Any], why: str | None
) -> None:
    cluster.container.update(change)
    if why is None:
        platform.set_limit(TARGET, "cpu", 0.8)
        return
    with pytest.raises(RejectedError, match=why):
        platform.set_limit(TARGET, "cpu", 0.8)
    assert cluster.patches == []


def test_a_limit_is_taken_away_by_one_as_large_as_the_node(platform: KubernetesPlatform, cluster: StubCluster) -> None:
    platform.set_limit(TARGET, "cpu", None)
    assert cluster.container["resources"]["limits"]["cpu"] == "3920m"
    assert platform.kernel_value(TARGET, "cpu").limit is None
    found = platform.inspect(TARGET)
    assert found is not None
    assert found.cpu_limit is None


def test_a_best_effort_pod_gets_no_limit(platform: KubernetesPlatform, cluster: StubCluster) -> None:
    cluster.pod["status"]["qosClass"] = "BestEffort"
    with pytest.raises(RejectedError, match="QoS"):
        platform.set_limit(TARGET, "cpu", 0.8)


def test_a_container_that_was_restarted_since_is_another_one(
    platform: KubernetesPlatform, cluster: StubCluster
) -> None:
    cluster.status["containerID"] = f"containerd://{'d' * 64}"
    assert platform.inspect(TARGET) is None
    with pytest.raises(GoneError):
        platform.set_limit(TARGET, "cpu", 0.8)


def test_a_busy_api_server_is_asked_again(platform: KubernetesPlatform, cluster: StubCluster) -> None:
    cluster.refusals = [(429, {"Retry-After": "1"}, "slow down")] * 2
    assert platform.inspect(TARGET) is not None


@pytest.mark.parametrize(
    ("status", "error"), [(403, RejectedError), (409, ConflictError), (429, UnavailableError), (503, UnavailableError)]
)
def test_each_refusal_of_the_api_server_has_its_meaning(
    platform: KubernetesPlatform, cluster: StubCluster, status: int, error: type[Exception]
) -> None:
    cluster.refusals = [(status, {}, "because of this")] * 9
    with pytest.raises(error, match="because of this"):
        platform.kernel_value(TARGET, "cpu")


def test_an_api_server_that_is_gone_is_unavailable(platform: KubernetesPlatform, cluster: StubCluster) -> None:
    cluster.shutdown()
    cluster.server_close()
    with pytest.raises(UnavailableError, match="does not answer"):
        platform.inspect(TARGET)
