"""Kubernetes itself, built from its Go modules: no registry of images and no download of releases is needed."""

import re

from deploy.setup.builds import find_go
from deploy.setup.shell import SetupError, run_logged
from deploy.setup.stamps import BIN, BUILD, ROOT, content_key, is_fresh, mark_done

KUBERNETES = BIN / "kubernetes"
_SOURCES = ROOT / "deploy/cluster/programs"
_PROGRAMS = ("kubectl", "kube-apiserver", "kube-scheduler", "kube-controller-manager", "kubelet")
_VERSION = "k8s.io/component-base/version"


def build_kubernetes() -> None:
    """Build the five programs, about five minutes on two cores; again only when their versions change."""
    go, toolchain = find_go("Kubernetes")
    outputs = [KUBERNETES / program for program in _PROGRAMS]
    key = content_key(_SOURCES.iterdir(), toolchain)
    if is_fresh("kubernetes", key, outputs):
        return
    KUBERNETES.mkdir(parents=True, exist_ok=True)
    packages = [f"k8s.io/kubernetes/cmd/{program}" for program in _PROGRAMS]
    command = [go, "build", f"-ldflags={_flags()}", "-o", f"{KUBERNETES}/", *packages]
    settings = {"CGO_ENABLED": "0", "GOWORK": "off"}
    what = "build Kubernetes (about five minutes the first time)"
    run_logged(what, command, BUILD / "setup/kubernetes.log", cwd=_SOURCES, environment=settings)
    mark_done("kubernetes", key)


def _flags() -> str:
    """Say the version, which a build from modules does not know: kubelets ask the API server for it."""
    found = re.search(r"k8s\.io/kubernetes (v1\.(\d+)\.\d+)", (_SOURCES / "go.mod").read_text())
    if found is None:
        raise SetupError(f"{_SOURCES}/go.mod does not require k8s.io/kubernetes")
    version, minor = found.groups()
    named = {"gitVersion": version, "gitMajor": "1", "gitMinor": minor}
    return " ".join(["-s -w", *(f"-X {_VERSION}.{name}={value}" for name, value in named.items())])
