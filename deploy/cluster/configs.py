"""Configuration of the system beside a cluster: the shipped files with other addresses, intervals and paths."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from deploy.cluster.cluster import Cluster
from deploy.cluster.node import PAUSE, Node
from deploy.demo import configs as demo
from deploy.demo.configs import RULES, Files, Pace, write_secret, write_yaml

SHORTER = {"for: 30m": "for: 20s", "offset 2h": "offset 40s"}
"""What a rule waits for before anything is taken away, and what a test can wait for."""
PACE = replace(
    Pace(),
    limits={"cooldown": "20s", "start_up_grace": "20s", "host_headroom": 0.02, "reclaim_history": "40s"},
)


def write_configs(
    directory: Path, cluster: Cluster, addresses: Mapping[str, str], token: Path, identity: Path
) -> Files:
    """Write all files; ``addresses`` has each node's exporter by the node's name, beside the other parts.

    ``token`` is what exporters show to their kubelets, ``identity`` is the actuator's kubeconfig.
    """
    files = Files(directory)
    write_secret(files.token)
    for node in cluster.nodes.values():
        write_yaml(exporter_file(directory, node.name), exporter_config(cluster, node, token))
    actuator = demo.actuator_config(files, addresses, PACE)
    platform = {"kind": "kubernetes", "kubeconfig": str(identity), "placeholder_image": PAUSE}
    write_yaml(files.actuator, actuator | {"platform": platform})
    write_yaml(files.prometheus, prometheus_config(cluster, addresses, _shorter_rules(directory / "rules")))
    write_yaml(files.alertmanager, demo.alertmanager_config(files, addresses))
    return files


def exporter_file(directory: Path, node: str) -> Path:
    """Return the configuration of a node's exporter."""
    return directory / f"exporter-{node}.yml"


def exporter_config(cluster: Cluster, node: Node, token: Path) -> dict[str, Any]:
    """Return the file of a node's exporter, which asks that node's kubelet."""
    kubelet = {"token_file": str(token), "ca_file": str(cluster.authority.certificate)}
    sources = {
        "cadvisor": kubelet | {"url": f"{node.kubelet}/metrics/cadvisor"},
        "kubelet": kubelet | {"url": f"{node.kubelet}/pods", "refresh": "5s"},
    }
    return {
        "node": node.name,
        "interval": PACE.interval,
        "sources": sources | {"probe": None},
        "forecast": dict(PACE.forecast),
        "assess": {"learn": PACE.learn},
    }


def prometheus_config(cluster: Cluster, addresses: Mapping[str, str], rules: Path) -> dict[str, Any]:
    """Return the shipped configuration with a target for each node's exporter."""
    document = demo.prometheus_config("", {**addresses, "exporter": ""}, PACE)
    document["rule_files"] = [str(rules / "*.yml")]
    exporters = [addresses[name] for name in cluster.nodes]
    for job in document["scrape_configs"]:
        del job["metric_relabel_configs"]  # in this cluster is nobody but the test
        if job["job_name"] == "cpp-exporter":
            job["static_configs"] = [{"targets": exporters}]
    return document


def _shorter_rules(copies: Path) -> Path:
    """Copy the shipped rules; only what they wait for before a reclaim differs."""
    copies.mkdir(parents=True, exist_ok=True)
    for path in (RULES / "recording.yml", *RULES.glob("alerts-*.yml")):
        text = path.read_text()
        for long, short in SHORTER.items():
            text = text.replace(long, short)
        (copies / path.name).write_text(text)
    return copies
