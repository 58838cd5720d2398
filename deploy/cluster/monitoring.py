"""Prometheus and Alertmanager beside a cluster into which the chart was installed: the shipped configuration."""

import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from deploy.cluster.cluster import Cluster
from deploy.cluster.network import CONTROL
from deploy.demo.children import Child, start_child, stop_child, wait_until_ready
from deploy.demo.configs import RULES, Files, alertmanager_config
from deploy.demo.ports import free_ports
from deploy.kubernetes.render import FOLDER
from deploy.setup.shell import uninterrupted

_READY_SECONDS = 60.0


@dataclass
class Monitoring:
    """Both at addresses that pods reach; ``scrape`` is the interval of scrapes and evaluations."""

    cluster: Cluster
    scrape: str
    rules: Sequence[Path] = ()
    """Files of rules beside the shipped ones."""
    addresses: dict[str, str] = field(init=False)
    _children: list[Child] = field(default_factory=list)

    def __post_init__(self) -> None:
        parts = ("prometheus", "alertmanager")
        self.addresses = {part: f"{CONTROL}:{port}" for part, port in zip(parts, free_ports(2), strict=True)}

    def url(self, part: str) -> str:
        """Return the address of a part."""
        return f"http://{self.addresses[part]}"

    def start(self, actuator: str, exporters: Sequence[str], token: str) -> None:
        """Start both and wait until they are ready; alerts go to ``actuator`` with ``token``. Addresses: HOST:PORT."""
        files = Files(self.cluster.directory / "monitoring")
        files.directory.mkdir()
        files.token.touch(mode=0o600)
        files.token.write_text(token)
        _write(files.alertmanager, alertmanager_config(files, {"actuator": actuator}))
        targets = {"cpp-exporter": exporters, "cpp-actuator": [actuator]}
        _write(files.prometheus, self._prometheus(targets))
        alertmanager = shutil.which("alertmanager") or "prometheus-alertmanager"
        store = f"--storage.path={files.directory / 'alertmanager'}"
        self._start("alertmanager", [alertmanager, store, "--cluster.listen-address="], files.alertmanager)
        data = f"--storage.tsdb.path={files.directory / 'prometheus'}"
        self._start("prometheus", ["prometheus", data, "--rules.alert.resend-delay=5s"], files.prometheus)

    def stop(self) -> None:
        """Stop both."""
        with ExitStack() as last_first:
            for child in self._children:
                last_first.callback(stop_child, child)
        self._children.clear()

    def _start(self, part: str, command: list[object], config: Path) -> None:
        log = self.cluster.directory / f"log/{part}.log"
        listen = f"--web.listen-address={self.addresses[part]}"
        with uninterrupted():
            child = start_child(part, [*command, f"--config.file={config}", listen], log)
            self._children.append(child)
        wait_until_ready(child, f"{self.url(part)}/-/ready", log, _READY_SECONDS)

    def _prometheus(self, targets: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        """Return the shipped scrapes with targets by job, and the rules."""
        document: dict[str, Any] = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
        document["global"] |= {"scrape_interval": self.scrape, "evaluation_interval": self.scrape}
        document["rule_files"] = [str(path) for path in (RULES / "recording.yml", RULES / "alerts-*.yml", *self.rules)]
        document["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [self.addresses["alertmanager"]]}]}]}
        # Debian's Prometheus is built without the discovery of Kubernetes' objects.
        for job in document["scrape_configs"]:
            del job["kubernetes_sd_configs"], job["relabel_configs"]
            job["static_configs"] = [{"targets": list(targets[job["job_name"]])}]
        return document


def _write(path: Path, document: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump(document, sort_keys=False))
