"""What a user installs, in a cluster of a test: the shipped images and the chart."""

import json
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from deploy.cluster.cluster import Cluster
from deploy.cluster.node import PAUSE
from deploy.kubernetes.chart import CHART, run_helm
from deploy.setup.base_image import build_shipped
from deploy.setup.shell import SetupError

HOME = "cpp-system"
_NAME = "cpp"
_PARTS = ("probe", "exporter", "actuator")
_PATIENCE = "--timeout=60s"
_PASSING = ("events", "endpoints", "endpointslices", "bindings", "componentstatuses")


@dataclass(frozen=True)
class Release:
    """One installation of the chart."""

    cluster: Cluster

    def load_images(self) -> None:
        """Build the images from the shipped Dockerfiles, and give them to every node."""
        archive = self.cluster.directory / "images.tar"
        for part in _PARTS:
            _docker("tag", build_shipped(part), _image(part))
        try:
            _docker("save", "--output", str(archive), *map(_image, _PARTS))
        finally:
            _docker("rmi", *map(_image, _PARTS))
        with ThreadPoolExecutor() as threads:
            list(threads.map(lambda node: self.cluster.load_image(node, archive), self.cluster.nodes))
        archive.unlink()

    def install(self, values: Mapping[str, Any]) -> None:
        """Install or change it; raise SetupError with Helm's complaint. ``wait`` for its parts."""
        images = {part: _image(part) for part in _PARTS} | {"placeholder": PAUSE}
        path = self.cluster.directory / "values.json"
        path.write_text(json.dumps({"images": images, "imagePullPolicy": "Never", **values}))
        self._helm("upgrade", "--install", _NAME, CHART, f"--values={path}")

    def wait(self, part: str, namespace: str = HOME) -> None:
        """Wait until all pods of a part, such as ``daemonset/cpp-exporter``, are ready; raise SetupError if not."""
        self.cluster.kubectl("rollout", "status", part, f"--namespace={namespace}", _PATIENCE)

    def uninstall(self) -> None:
        """Take it away, and wait until it is gone."""
        self._helm("uninstall", _NAME, "--wait", _PATIENCE)

    def objects(self) -> set[str]:
        """Return the names of all objects but the cluster's own and those that come and go by themselves."""
        listed = self.cluster.kubectl("api-resources", "--verbs=list", "--output=name").split()
        kinds = [kind for kind in listed if kind.partition(".")[0] not in _PASSING]
        found = self.cluster.get(",".join(kinds), "--all-namespaces")["items"]
        return {_told(each) for each in found if not each["metadata"].get("namespace", "").startswith("kube-")}

    def _helm(self, *arguments: object) -> None:
        run_helm(*arguments, f"--namespace={HOME}", f"--kubeconfig={self.cluster.authority.path('admin.kubeconfig')}")


def _image(part: str) -> str:
    return f"localhost/cpp-{part}:test"


def _told(each: Mapping[str, Any]) -> str:
    metadata = each["metadata"]
    return f"{each['kind']} {metadata.get('namespace', '')}/{metadata['name']}"


def _docker(*arguments: str) -> None:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SetupError(f"docker {arguments[0]}: {done.stderr.strip()}")
