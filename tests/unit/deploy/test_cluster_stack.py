from pathlib import Path

import pytest
import yaml

from actuator.config import load_config as load_actuator
from deploy.cluster.cluster import Cluster
from deploy.cluster.configs import SHORTER, exporter_file, write_configs
from deploy.cluster.node import Node
from deploy.demo.configs import RULES, Files
from exporter.config import load_config as load_exporter

ADDRESSES = {"n1": "127.0.0.1:1", "n2": "127.0.0.1:2", "actuator": "127.0.0.1:3"} | {
    "prometheus": "127.0.0.1:4",
    "alertmanager": "127.0.0.1:5",
}


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    one = Cluster(tmp_path / "cluster")
    one.nodes |= {name: Node(name, number, tmp_path / name, 0) for number, name in enumerate(("n1", "n2"))}
    return one


@pytest.fixture
def files(cluster: Cluster, tmp_path: Path) -> Files:
    (tmp_path / "identity").touch()
    return write_configs(tmp_path, cluster, ADDRESSES, tmp_path / "exporter.token", tmp_path / "identity")


def test_each_nodes_exporter_asks_its_own_kubelet_by_token_and_authority(cluster: Cluster, files: Files) -> None:
    for name, node in cluster.nodes.items():
        config = load_exporter(exporter_file(files.directory, name))
        assert config.node == name
        assert config.sources.kubelet is not None
        assert (config.sources.cadvisor.url, config.sources.kubelet.url) == (
            f"{node.kubelet}/metrics/cadvisor",
            f"{node.kubelet}/pods",
        )
        for source in (config.sources.cadvisor, config.sources.kubelet):
            assert source.token_file == files.directory / "exporter.token"
            assert source.ca_file == cluster.authority.certificate
            assert source.verify


def test_the_actuator_acts_on_the_cluster_as_who_it_was_given(files: Files) -> None:
    config = load_actuator(files.actuator)
    assert (config.dry_run, config.platform.kind) == (False, "kubernetes")
    assert yaml.safe_load(files.actuator.read_text())["platform"]["kubeconfig"] == str(files.directory / "identity")


def test_prometheus_asks_every_exporter_and_the_actuator_and_keeps_all_labels(files: Files) -> None:
    jobs = {job["job_name"]: job for job in yaml.safe_load(files.prometheus.read_text())["scrape_configs"]}
    targets = {name: job["static_configs"][0]["targets"] for name, job in jobs.items()}
    assert targets == {"cpp-exporter": ["127.0.0.1:1", "127.0.0.1:2"], "cpp-actuator": ["127.0.0.1:3"]}
    assert all(job["honor_labels"] for job in jobs.values())


def test_only_waits_before_a_reclaim_differ_from_the_shipped_rules(files: Files) -> None:
    changed = []
    for copy in (files.directory / "rules").glob("*.yml"):
        pairs = zip((RULES / copy.name).read_text().splitlines(), copy.read_text().splitlines(), strict=True)
        changed += [(before.strip(), after.strip()) for before, after in pairs if before != after]
    assert len(changed) == 4, "CPU and memory, each with a wait and a look back"
    assert all(any(long in before and short in after for long, short in SHORTER.items()) for before, after in changed)


def test_nodes_of_two_runs_have_pods_in_different_control_groups(tmp_path: Path) -> None:
    groups = {Node("n1", 1, tmp_path / run / "n1", 0).cgroup for run in ("one", "two")}
    assert len(groups) == 2
