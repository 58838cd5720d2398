"""Who the system's parts are to a cluster: service accounts with a token, and rights that were given to them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

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
    token = directory / f"{name}.token"
    token.write_text(cluster.kubectl("create", "token", name, f"--namespace={NAMESPACE}").strip())
    token.chmod(0o600)
    return token


def kubeconfig(cluster: Cluster, token: Path) -> Path:
    """Write a kubeconfig for the service account whose token is in the file ``token``."""
    server = {"server": cluster.server, "certificate-authority": str(cluster.authority.certificate)}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": server}],
        "users": [{"name": "part", "user": {"tokenFile": str(token)}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "part"}}],
        "current-context": "test",
    }
    path = token.with_suffix(".kubeconfig")
    path.write_text(yaml.safe_dump(document))
    return path


def _rights(kind: str, account: str, metadata: Mapping[str, str], rules: Rules) -> list[dict[str, Any]]:
    group = "rbac.authorization.k8s.io"
    subject = {"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}
    role = {"apiVersion": f"{group}/v1", "kind": kind, "metadata": metadata, "rules": list(rules)}
    reference = {"apiGroup": group, "kind": kind, "name": metadata["name"]}
    binding = {"apiVersion": f"{group}/v1", "kind": f"{kind}Binding", "metadata": metadata}
    return [role, binding | {"roleRef": reference, "subjects": [subject]}]
