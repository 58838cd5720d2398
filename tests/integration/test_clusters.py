"""Clusters that run at once: the same addresses in each, and what is taken down is one of them and all of it."""

import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deploy.cluster.cluster import Cluster
from deploy.cluster.leftovers import remove_networks
from deploy.cluster.network import CONTROL, close_network, enter_own_network, open_network
from deploy.cluster.node import Node
from deploy.demo.children import is_running, save_state, start_child

POD = "10.244.1.2"
NAMESPACES = Path("/var/run/netns")
Inside = Callable[[Callable[[], object]], object]


@pytest.fixture
def networks() -> Iterator[list[Inside]]:
    """Two networks; each is a function that calls what it is given inside."""
    threads = [ThreadPoolExecutor(1, initializer=enter_own_network) for _ in range(2)]
    yield [lambda work, thread=thread: thread.submit(work).result() for thread in threads]
    for thread in threads:
        thread.shutdown()


@pytest.fixture
def pods(networks: list[Inside]) -> Iterator[list[Path]]:
    """The namespace of a pod in each network, at the same address in both."""
    names = [f"cni-test-{os.getpid()}-{number}" for number in range(2)]
    for inside, name in zip(networks, names, strict=True):
        ip("netns", "add", name)
        inside(lambda name=name: ip("link", "add", "pod0", "type", "veth", "peer", "name", "eth0", "netns", name))
        ip("-netns", name, "address", "add", f"{POD}/24", "dev", "eth0")
    yield [NAMESPACES / name for name in names]
    for name in names:
        subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


def ip(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], capture_output=True, text=True, check=True).stdout


def test_clusters_have_the_same_addresses_each_in_its_own_network(networks: list[Inside]) -> None:
    def addresses() -> str:
        return ip("address", "show", "dev", "lo")

    before = addresses()
    for inside in networks:
        inside(open_network)
    assert [f" {CONTROL}/32 " in str(inside(addresses)) for inside in networks] == [True, True]
    networks[0](close_network)
    assert [f" {CONTROL}/32 " in str(inside(addresses)) for inside in networks] == [False, True]
    assert addresses() == before


def test_only_the_pods_of_the_own_network_are_removed(networks: list[Inside], pods: list[Path], tmp_path: Path) -> None:
    reserved = tmp_path / "n1/addresses/n1"
    reserved.mkdir(parents=True)
    (reserved / "10.244.1.3").touch()
    networks[1](lambda: remove_networks(tmp_path))
    assert [pod.exists() for pod in pods] == [True, True]
    (reserved / POD).touch()
    networks[1](lambda: remove_networks(tmp_path))
    assert [pod.exists() for pod in pods] == [True, False]


def test_whoever_knows_the_directory_takes_down_the_cluster(networks: list[Inside], tmp_path: Path) -> None:
    runs = [tmp_path / f"run-{os.getpid()}", tmp_path / f"other-{os.getpid()}"]
    nodes = [Node("n1", 1, run / "n1", 0) for run in runs]
    for node in nodes:
        node.directory.mkdir(parents=True)
        (node.directory / "containerd.toml").touch()
        node._make_cgroups()
    children = [start_child("sleeper", ["sleep", "60"], run / "log/sleeper.log") for run in runs]
    for run, child in zip(runs, children, strict=True):
        save_state(run / "state.json", [child], {})
    for number, left in ((0, [False, True]), (1, [False, False])):
        networks[number](Cluster(runs[number]).stop)
        assert [is_running(child) for child in children] == left
        assert [run.exists() for run in runs] == left
        assert [bool(list(Path("/sys/fs/cgroup").glob(f"**/{node.cgroup}"))) for node in nodes] == left
