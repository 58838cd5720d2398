"""The whole system beside a cluster: an exporter for each node, Prometheus, Alertmanager and the actuator."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from deploy.cluster import identities
from deploy.cluster.cluster import Cluster
from deploy.cluster.configs import exporter_file, write_configs
from deploy.cluster.identities import Rules
from deploy.demo.children import Child, start_child, stop_child, wait_until_ready
from deploy.demo.configs import Files
from deploy.demo.ports import free_ports
from deploy.setup.builds import VENV
from deploy.setup.shell import uninterrupted

_READY_SECONDS = 60.0
_PARTS = ("alertmanager", "prometheus", "actuator")


@dataclass(frozen=True)
class Rights:
    """What the actuator may do, in all namespaces and in its own."""

    everywhere: Rules
    at_home: Rules


@dataclass
class Stack:
    """Programs of this machine that know the cluster only by the tokens of their service accounts."""

    cluster: Cluster
    rights: Rights
    addresses: dict[str, str] = field(default_factory=dict)
    _children: list[Child] = field(default_factory=list)

    @property
    def directory(self) -> Path:
        """Where all its files are."""
        return self.cluster.directory / "stack"

    def start(self) -> None:
        """Start all parts and wait until each is ready; raise SetupError with the reason otherwise."""
        self.directory.mkdir(parents=True)
        parts = (*self.cluster.nodes, *_PARTS)
        self.addresses = {part: f"127.0.0.1:{port}" for part, port in zip(parts, free_ports(len(parts)), strict=True)}
        identities.make_home(self.cluster)
        files = write_configs(self.directory, self.cluster, self.addresses, *self._identities())
        for part, command in self._commands(files):
            self._start(part, command)

    def stop(self) -> None:
        """Stop all parts, the last one first."""
        with ExitStack() as last_first:
            for child in self._children:
                last_first.callback(stop_child, child)
        self._children.clear()

    def url(self, part: str) -> str:
        """Return the address of a part; an exporter is named by its node."""
        return f"http://{self.addresses[part]}"

    def _identities(self) -> tuple[Path, Path]:
        """Return the exporters' token and the actuator's kubeconfig."""
        rights = self.rights
        exporter = identities.service_account(self.cluster, "cpp-exporter", identities.EXPORTER, (), self.directory)
        actuator = identities.service_account(
            self.cluster, "cpp-actuator", rights.everywhere, rights.at_home, self.directory
        )
        return exporter, identities.kubeconfig(self.cluster, actuator)

    def _start(self, part: str, command: list[object]) -> None:
        log = self.cluster.directory / f"log/{part}.log"
        with uninterrupted():
            child = start_child(part, [*command, f"--web.listen-address={self.addresses[part]}"], log)
            self._children.append(child)
        wait_until_ready(child, f"{self.url(part)}/-/ready", log, _READY_SECONDS)

    def _commands(self, files: Files) -> Iterator[tuple[str, list[object]]]:
        for node in self.cluster.nodes:
            yield node, [VENV / "bin/cpp-exporter", "run", f"--config.file={exporter_file(self.directory, node)}"]
        yield "actuator", [VENV / "bin/cpp-actuator", "run", f"--config.file={files.actuator}"]
        yield (
            "alertmanager",
            [
                shutil.which("alertmanager") or "prometheus-alertmanager",
                f"--config.file={files.alertmanager}",
                f"--storage.path={self.directory / 'alertmanager'}",
                "--cluster.listen-address=",
            ],
        )
        yield (
            "prometheus",
            [
                "prometheus",
                f"--config.file={files.prometheus}",
                f"--storage.tsdb.path={self.directory / 'prometheus'}",
                # An alert that fires before Alertmanager has been found would else be sent again after a minute only.
                "--rules.alert.resend-delay=5s",
            ],
        )
