"""Who the system's parts are to a cluster: service accounts with a token, and rights that were given to them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deploy.cluster.cluster import Cluster
from deploy.setup.stamps import ROOT

NAMESPACE = "cpp-system"
Rules = Sequence[Mapping[str, Sequence[str]]]

EXPORTER: Rules = ({"apiGroups": [""], "resources": ["nodes/metrics", "nodes/pods"], "verbs": ["get"]},)
_DEFINITIONS = ROOT / "deploy/kubernetes/crd.yaml"


def make_home(cluster: Cluster) -> None:
    """Make the namespace of the system's own objects, the kinds of them, and the priority of those that hold room."""
    cluster.kubectl("apply", f"--filename={_DEFINITIONS}")
    cluster.kubectl("wait", "--for=condition=Established", f"--filename={_DEFINITIONS}", "--timeout=30s")
    cluster.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": "cpp-shadow"},
            "value": -10,
            "preemptionPolicy": "Never",
        },
    )


def service_account(cluster: Cluster, name: str, everywhere: Rules, at_home: Rules, directory: Path) -> Path:
    """Make a service account with rights in all namespaces and in its own; return the file of its token."""
    cluster.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": NAMESPACE}},
        *_rights("ClusterRole", name, {"name": f"cpp-test-{name}"}, everywhere),
        *_rights("Role", name, {"name": name, "namespace": NAMESPACE}, at_home),
    )
    return issue_token(cluster, name, directory)


def issue_token(cluster: Cluster, account: str, directory: Path, namespace: str = NAMESPACE) -> Path:
    """Write a token of a service account, good for an hour, into ``directory``; return the file."""
    token = directory / f"{account}.token"
    token.write_text(cluster.kubectl("create", "token", account, f"--namespace={namespace}").strip())
    token.chmod(0o600)
    return token


def kubeconfig(cluster: Cluster, token: Path) -> Path:
    """Write a kubeconfig beside the file ``token`` for the service account that it is of."""
    path = token.with_suffix(".kubeconfig")
    return cluster.authority.write_kubeconfig(path, cluster.server, {"tokenFile": str(token)})


def _rights(kind: str, account: str, metadata: Mapping[str, str], rules: Rules) -> list[dict[str, Any]]:
    group = "rbac.authorization.k8s.io"
    subject = {"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}
    role = {"apiVersion": f"{group}/v1", "kind": kind, "metadata": metadata, "rules": list(rules)}
    reference = {"apiGroup": group, "kind": kind, "name": metadata["name"]}
    binding = {"apiVersion": f"{group}/v1", "kind": f"{kind}Binding", "metadata": metadata}
    return [role, binding | {"roleRef": reference, "subjects": [subject]}]
