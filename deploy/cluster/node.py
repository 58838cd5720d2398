"""A node: a kubelet and a containerd with folders, sockets, control groups and pod addresses of their own."""

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path

import yaml

from deploy.cluster.network import node_address
from deploy.cluster.pki import Authority
from deploy.setup.kubernetes import KUBERNETES

PAUSE = "localhost/pause:1"
KUBELET_PORT = 10250
_CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Node:
    """One node of a cluster; ``number`` makes its pods' addresses differ from those of others."""

    name: str
    number: int
    directory: Path
    health_port: int

    @property
    def address(self) -> str:
        """Where its kubelet listens, on the usual port."""
        return node_address(self.number)

    @property
    def kubelet(self) -> str:
        """Where its kubelet answers."""
        return f"https://{self.address}:{KUBELET_PORT}"

    @property
    def socket(self) -> Path:
        """Where its containerd listens."""
        return self.directory / "containerd.sock"

    @property
    def cgroup(self) -> str:
        """The control group of all its pods, in every hierarchy; no other run on this machine has the same."""
        return f"{self.directory.parent.name}-{self.name}"

    def prepare(self, authority: Authority, server: str) -> None:
        """Write its configuration, issue its identity, and make the control groups under which its pods run."""
        for folder in ("cni", "logs", "kubelet", "manifests"):
            (self.directory / folder).mkdir(parents=True, exist_ok=True)
        names = (f"DNS:{self.name}", f"IP:{self.address}")
        authority.issue(self.name, f"/O=system:nodes/CN=system:node:{self.name}", *names)
        authority.kubeconfig(self.name, server)
        (self.directory / "cni/10-ptp.conflist").write_text(json.dumps(self._network()))
        (self.directory / "containerd.toml").write_text(self._runtime())
        (self.directory / "kubelet.yaml").write_text(yaml.safe_dump(self._kubelet(authority)))
        self._make_cgroups()

    def runtime_command(self) -> list[object]:
        """Return containerd's command."""
        return ["containerd", "--config", self.directory / "containerd.toml"]

    def kubelet_command(self, authority: Authority) -> list[object]:
        """Return the kubelet's command."""
        return [
            KUBERNETES / "kubelet",
            f"--config={self.directory / 'kubelet.yaml'}",
            f"--kubeconfig={authority.path(f'{self.name}.kubeconfig')}",
            f"--root-dir={self.directory / 'kubelet'}",
            f"--cert-dir={self.directory / 'kubelet/pki'}",
            f"--hostname-override={self.name}",
            f"--node-ip={self.address}",
            # Without it the cAdvisor inside says nothing of containers and pods.
            f"--containerd={self.socket}",
            # Ten seconds unless said; what a test waits for is then learned from too few samples.
            "--housekeeping-interval=1s",
        ]

    def remove_cgroups(self) -> None:
        """Remove the control groups that its pods have left; those in use stay."""
        for hierarchy in _hierarchies():
            for path in sorted((hierarchy / self.cgroup).rglob("*"), reverse=True):
                _remove(path)
            _remove(hierarchy / self.cgroup)

    def _make_cgroups(self) -> None:
        for hierarchy in _hierarchies():
            (hierarchy / self.cgroup).mkdir(exist_ok=True)
        cpuset = _CGROUPS / "cpuset"
        for file in ("cpuset.cpus", "cpuset.mems"):
            if (cpuset / file).exists():  # a v1 cpuset is empty until it is filled, and takes no process before
                (cpuset / self.cgroup / file).write_text((cpuset / file).read_text())

    def _network(self) -> dict[str, object]:
        ranges = [[{"subnet": f"10.244.{self.number}.0/24"}]]
        everywhere = [{"dst": "0.0.0.0/0"}]  # to Services and nodes, which are this machine
        files = str(self.directory / "addresses")
        addresses = {"type": "host-local", "dataDir": files, "ranges": ranges, "routes": everywhere}
        wire = {"type": "ptp", "ipMasq": False, "ipam": addresses}
        ports = {"type": "portmap", "capabilities": {"portMappings": True}}
        return {"cniVersion": "0.4.0", "name": self.name, "plugins": [wire, ports]}

    def _runtime(self) -> str:
        # restrict_oom_score_adj: machines for tests often lack CAP_SYS_RESOURCE.
        return f"""version = 2
root = "{self.directory}/images"
state = "{self.directory}/run"
[grpc]
 address = "{self.socket}"
[ttrpc]
 address = "{self.socket}.ttrpc"
[plugins."io.containerd.grpc.v1.cri"]
 sandbox_image = "{PAUSE}"
 restrict_oom_score_adj = true
 disable_hugetlb_controller = true
 [plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "{self.directory}/cni"
[plugins."io.containerd.internal.v1.opt"]
 path = "{self.directory}/opt"
"""

    def _kubelet(self, authority: Authority) -> dict[str, object]:
        certificates = {"clientCAFile": str(authority.certificate)}
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": True}, "x509": certificates},
            "authorization": {"mode": "Webhook"},
            "address": self.address,
            "port": KUBELET_PORT,
            "healthzPort": self.health_port,
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{self.cgroup}",
            "failCgroupV1": False,
            "failSwapOn": False,
            "containerRuntimeEndpoint": f"unix://{self.socket}",
            "podLogsDir": str(self.directory / "logs"),
            "tlsCertFile": str(authority.path(f"{self.name}.crt")),
            "tlsPrivateKeyFile": str(authority.path(f"{self.name}.key")),
            "evictionHard": {"memory.available": "100Mi"},
            "enforceNodeAllocatable": [],
            "localStorageCapacityIsolation": False,
        }


def _hierarchies() -> list[Path]:
    """Return the roots of all control group hierarchies: the one of v2, or each of v1 and what is beside them."""
    if (_CGROUPS / "cgroup.controllers").exists():
        return [_CGROUPS]
    return [path for path in _CGROUPS.iterdir() if path.is_dir() and not path.is_symlink()]


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.rmdir()
