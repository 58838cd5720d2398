import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from xdist.scheduler import LoadFileScheduling

from actuator.platforms.cgroup import Cgroups
from deploy.cluster.cluster import Cluster
from deploy.cluster.images import workload_archive
from deploy.cluster.network import enter_own_network
from deploy.cluster.stack import Rights, Stack
from deploy.setup.shell import SetupError
from deploy.setup.stamps import BUILD, ROOT

WORKLOAD = "localhost/workload:1"
RIGHTS = {
    (document["kind"], document["metadata"]["name"]): tuple(document["rules"])
    for document in yaml.safe_load_all(Path("deploy/kubernetes/base/actuator-rights.yaml").read_text())
    if document["kind"] in ("Role", "ClusterRole")
}
EVERYWHERE = RIGHTS["ClusterRole", "cpp-actuator-observes"] + RIGHTS["ClusterRole", "cpp-actuator-acts"]
AT_HOME = RIGHTS["Role", "cpp-actuator"]
LANES = (
    ("test_stack",),
    ("test_cluster", "test_install"),
    ("test_replicas", "test_resize"),
    ("test_killed_moves", "test_migration"),
    ("test_platform", "test_shadow"),
)
"""Files that run one after the other on one cluster, where lanes run side by side; they take about equally long.

A file that is in no lane waits until one has two tests left, which may be the longest.
"""
LANE_OF = {file: lane[-1] for lane in LANES for file in lane}


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    return len(LANES)


class Lanes(LoadFileScheduling):
    def _split_scope(self, nodeid: str) -> str:
        file = Path(super()._split_scope(nodeid)).stem
        return LANE_OF.get(file, file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    return Lanes(config, log)


@pytest.fixture(scope="session")
def cluster(worker_id: str) -> Iterator[Cluster]:
    """Two real nodes that know the workload's image as WORKLOAD."""
    one = Cluster(Path(tempfile.gettempdir()) / f"cpp-kube-{os.getpid()}")
    try:
        if worker_id != "master":  # others have a cluster at this moment
            enter_own_network()
        one.start(["n1", "n2"], [workload_archive(WORKLOAD)])
        yield one
    except SetupError as error:
        pytest.fail(f"the cluster cannot start: {error}", pytrace=False)
    finally:
        _keep_logs(one.directory / "log", BUILD / "test-kubernetes" / worker_id)
        _take_down(one.directory)


@pytest.fixture(scope="session")
def stack(cluster: Cluster) -> Iterator[Stack]:
    """The whole system beside the cluster."""
    one = Stack(cluster, Rights(everywhere=EVERYWHERE, at_home=AT_HOME))
    try:
        one.start()
        yield one
    except SetupError as error:
        pytest.fail(f"the system cannot start: {error}", pytrace=False)
    finally:
        one.stop()


@pytest.fixture
def run_pod(cluster: Cluster) -> Iterator[Callable[..., None]]:
    """Run a pod that sleeps: ``run(name, node, cpu)``, with ``cpu`` as request and limit, or no limit."""
    names: list[str] = []

    def run(name: str, node: str, cpu: str | None) -> None:
        limits = {"cpu": cpu, "memory": "64Mi"} if cpu else {}
        container = {
            "name": "main",
            "image": WORKLOAD,
            "args": ["sleep"],
            "imagePullPolicy": "Never",
            "resources": {"requests": {"cpu": cpu or "50m", "memory": "32Mi"}, "limits": limits},
        }
        spec = {"nodeName": node, "containers": [container], "terminationGracePeriodSeconds": 1}
        cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})
        names.append(name)

    yield run
    cluster.kubectl("delete", "pods", *names, "--wait=false", "--ignore-not-found")


@pytest.fixture(scope="session")
def deploy(cluster: Cluster) -> Callable[..., None]:
    """Run a Deployment of one pod of the workload: ``deploy(name, node, arguments, given)``, given for good."""

    def run(name: str, node: str, arguments: list[str], given: dict[str, str]) -> None:
        container = {
            "name": "main",
            "image": WORKLOAD,
            "args": arguments,
            "imagePullPolicy": "Never",
            "resources": {"requests": given, "limits": given},
        }
        spec = {"nodeName": node, "containers": [container], "terminationGracePeriodSeconds": 1}
        labels = {"app": name}
        template = {"metadata": {"labels": labels}, "spec": spec}
        document = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
        cluster.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": document})

    return run


@pytest.fixture
def in_kernel(cluster: Cluster) -> Callable[[str, str], float]:
    """What the kernel lets a pod's container have: ``in_kernel(pod, resource)``, in cores or bytes."""

    @cache  # asked anew for each look, kubectl would use as much CPU as what is looked at
    def process(name: str) -> int:
        found = cluster.get("pod", name)
        container = found["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
        return _pid(cluster, found["spec"]["nodeName"], container)

    def read(name: str, resource: str) -> float:
        return Cgroups().limit(process(name), resource).limit or float("inf")

    return read


@pytest.fixture
def quota(in_kernel: Callable[[str, str], float]) -> Callable[[str], float]:
    """Cores that the kernel lets a pod's container have: ``quota(name)``."""
    return lambda name: in_kernel(name, "cpu")


def _pid(cluster: Cluster, node: str, container: str) -> int:
    """The container's first process, as the node's containerd has it."""
    return next(pid for task, pid in cluster.tasks(node).items() if task == container)


def _take_down(directory: Path) -> None:
    """Stop the cluster from a process of its own: after Ctrl-C, or the first failure with -x, xdist soon ends ours."""
    command = [sys.executable, "-m", "deploy.cluster", str(directory)]
    assert subprocess.Popen(command, cwd=ROOT, start_new_session=True).wait() == 0


def _keep_logs(logs: Path, kept: Path) -> None:
    shutil.rmtree(kept, ignore_errors=True)
    if logs.exists():
        shutil.copytree(logs, kept)
