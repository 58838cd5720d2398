"""Kubernetes, Helm and KWOK, built from their Go modules: no registry of images and no releases are needed."""

import re
from collections.abc import Sequence
from pathlib import Path

from deploy.setup.builds import find_go
from deploy.setup.shell import SetupError, run_logged
from deploy.setup.stamps import BIN, BUILD, ROOT, content_key, is_fresh, mark_done

KUBERNETES = BIN / "kubernetes"
HELM = KUBERNETES / "helm"
KWOK = KUBERNETES / "kwok"
_KUBERNETES_SOURCES = ROOT / "deploy/cluster/programs"
_HELM_SOURCES = ROOT / "deploy/cluster/helm"
_KWOK_SOURCES = ROOT / "deploy/cluster/kwok"
_PROGRAMS = ("kubectl", "kube-apiserver", "kube-scheduler", "kube-controller-manager", "kubelet", "kube-proxy")
_VERSION = "k8s.io/component-base/version.git"
_KNOWN_TO_HELM = "helm.sh/helm/v3/pkg/chartutil.k8s"


def build_kubernetes() -> None:
    """Build the programs, about five minutes on two cores; again only when their versions change."""
    version, minor = _version()
    packages = [f"k8s.io/kubernetes/cmd/{program}" for program in _PROGRAMS]
    # A build from modules does not know its version; kubelets ask the API server for it, Helm's charts ask Helm.
    named = [f"-X {_VERSION}Version={version}", f"-X {_VERSION}Major=1", f"-X {_VERSION}Minor={minor}"]
    _build("Kubernetes (about five minutes the first time)", _KUBERNETES_SOURCES, packages, named)
    named = [f"-X {_KNOWN_TO_HELM}VersionMajor=1", f"-X {_KNOWN_TO_HELM}VersionMinor={minor}"]
    _build("Helm (a minute the first time)", _HELM_SOURCES, ["helm.sh/helm/v3/cmd/helm"], named)


def build_kwok() -> None:
    """Build what simulates nodes."""
    _build("KWOK (a minute the first time)", _KWOK_SOURCES, ["sigs.k8s.io/kwok/cmd/kwok"], [])


def _build(what: str, sources: Path, packages: Sequence[str], named: Sequence[str]) -> None:
    go, toolchain = find_go("Kubernetes, Helm and KWOK")
    outputs = [KUBERNETES / package.rpartition("/")[2] for package in packages]
    key = content_key(sources.iterdir(), toolchain)
    stamp = f"kubernetes-{sources.name}"
    if is_fresh(stamp, key, outputs):
        return
    KUBERNETES.mkdir(parents=True, exist_ok=True)
    command = [go, "build", f"-ldflags={' '.join(['-s -w', *named])}", "-o", f"{KUBERNETES}/", *packages]
    settings = {"CGO_ENABLED": "0", "GOWORK": "off"}
    run_logged(f"build {what}", command, BUILD / f"setup/{stamp}.log", cwd=sources, environment=settings)
    mark_done(stamp, key)


def _version() -> tuple[str, str]:
    """Return Kubernetes' version, such as v1.35.4, and its minor number."""
    found = re.search(r"k8s\.io/kubernetes (v1\.(\d+)\.\d+)", (_KUBERNETES_SOURCES / "go.mod").read_text())
    if found is None:
        raise SetupError(f"{_KUBERNETES_SOURCES}/go.mod does not require k8s.io/kubernetes")
    return found[1], found[2]
