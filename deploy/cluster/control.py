"""The control plane: etcd, API server, controller manager, scheduler and kube-proxy."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deploy.cluster.network import CONTROL, PODS
from deploy.cluster.pki import Authority
from deploy.setup.kubernetes import KUBERNETES, KWOK

SERVICES = "10.96.0.0/16"
_FIRST_SERVICE = "10.96.0.1"
_AUDITED = "system:serviceaccounts:cpp-system"


@dataclass(frozen=True)
class Ports:
    """Free ports; only the API server's is not one of 127.0.0.1."""

    api: int
    etcd: int
    etcd_peer: int
    manager: int
    scheduler: int
    proxy: int


def issue_identities(authority: Authority, server: str) -> None:
    """Issue what the API server shows to its clients, and the administrator's kubeconfig."""
    names = (f"IP:{CONTROL}", f"IP:{_FIRST_SERVICE}", "DNS:kubernetes.default.svc")
    authority.issue("apiserver", "/CN=kube-apiserver", *names)
    authority.issue("admin", "/O=system:masters/CN=admin")
    authority.kubeconfig("admin", server)


def storage(directory: Path, ports: Ports) -> list[object]:
    """Return etcd's command; what it stores is gone with the run, so it need not wait for the disk."""
    clients, peers = f"http://127.0.0.1:{ports.etcd}", f"http://127.0.0.1:{ports.etcd_peer}"
    return [
        "etcd",
        f"--data-dir={directory / 'etcd'}",
        "--unsafe-no-fsync",
        f"--listen-client-urls={clients}",
        f"--advertise-client-urls={clients}",
        f"--listen-peer-urls={peers}",
        f"--initial-advertise-peer-urls={peers}",
        f"--initial-cluster=default={peers}",
    ]


def api_server(authority: Authority, ports: Ports, audit: Path) -> list[object]:
    """Return the API server's command; ``audit`` gets a line for each request that an account of cpp-system makes."""
    path = authority.path
    path("audit.json").write_text(json.dumps(_audit_policy()))
    return [
        KUBERNETES / "kube-apiserver",
        f"--etcd-servers=http://127.0.0.1:{ports.etcd}",
        f"--bind-address={CONTROL}",
        f"--advertise-address={CONTROL}",
        f"--secure-port={ports.api}",
        f"--service-cluster-ip-range={SERVICES}",
        f"--client-ca-file={authority.certificate}",
        f"--tls-cert-file={path('apiserver.crt')}",
        f"--tls-private-key-file={path('apiserver.key')}",
        f"--kubelet-client-certificate={path('admin.crt')}",
        f"--kubelet-client-key={path('admin.key')}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-account-key-file={path('accounts.pub')}",
        f"--service-account-signing-key-file={path('accounts.key')}",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--authorization-mode=Node,RBAC",
        "--allow-privileged=true",
        "--feature-gates=WatchList=false",  # of this etcd nothing can be watched so, and KWOK asks for it all the same
        f"--audit-policy-file={path('audit.json')}",
        f"--audit-log-path={audit}",
    ]


def proxy(authority: Authority, ports: Ports, node: str) -> list[object]:
    """Return kube-proxy's command; ``node`` is the one whose Services' local traffic it serves."""
    untouched = [f"--conntrack-{key}=0" for key in ("max-per-core", "min")]
    patience = [f"--conntrack-tcp-timeout-{key}=0s" for key in ("established", "close-wait")]
    return [
        KUBERNETES / "kube-proxy",
        f"--kubeconfig={authority.path('admin.kubeconfig')}",
        "--proxy-mode=iptables",
        f"--hostname-override={node}",
        f"--cluster-cidr={PODS}",
        "--healthz-bind-address=",
        f"--metrics-bind-address=127.0.0.1:{ports.proxy}",
        "--iptables-localhost-nodeports=false",
        *untouched,
        *patience,
    ]


def controllers(authority: Authority, ports: Ports) -> Iterator[tuple[str, list[object]]]:
    """Yield names and commands of what works through the API server."""
    common = [f"--kubeconfig={authority.path('admin.kubeconfig')}", "--leader-elect=false", "--bind-address=127.0.0.1"]
    accounts = [
        f"--service-account-private-key-file={authority.path('accounts.key')}",
        f"--root-ca-file={authority.certificate}",
        "--use-service-account-credentials=true",
        "--controllers=*",
    ]
    yield (
        "controller-manager",
        [KUBERNETES / "kube-controller-manager", *common, *accounts, f"--secure-port={ports.manager}"],
    )
    yield "scheduler", [KUBERNETES / "kube-scheduler", *common, f"--secure-port={ports.scheduler}"]


def simulator(authority: Authority, config: Path, node: str = "") -> list[object]:
    """Return KWOK's command: it keeps one ``node``, or all; of all it renews no leases, since nobody watches them."""
    files = [f"--kubeconfig={authority.path('admin.kubeconfig')}", f"--config={config}"]
    one = [f"--manage-single-node={node}", "--node-lease-duration-seconds=40"]
    return [KWOK, *files, *(one if node else ["--manage-all-nodes", "--node-lease-duration-seconds=0"])]


def _audit_policy() -> dict[str, object]:
    """Only who asked for what: enough to compare an identity's rights with what it uses."""
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [{"level": "Metadata", "userGroups": [_AUDITED]}, {"level": "None"}],
    }
