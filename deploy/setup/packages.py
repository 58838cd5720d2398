"""Debian packages, installed only where the program that is needed is not on the PATH."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.setup.engine import engine_answers
from deploy.setup.shell import SetupError, run_logged
from deploy.setup.stamps import BUILD

# Any one of the programs will do; the package is installed when none is there.
_RUN_PACKAGES: tuple[tuple[tuple[str, ...], str], ...] = (
    (("docker",), "docker.io"),
    (("iptables",), "iptables"),
    (("prometheus",), "prometheus"),
    (("promtool",), "prometheus"),
    (("alertmanager", "prometheus-alertmanager"), "prometheus-alertmanager"),
    (("amtool",), "prometheus-alertmanager"),
    (("clang",), "clang"),
    (("cc",), "gcc"),
    (("make",), "make"),
    (("busybox",), "busybox-static"),
)
_TEST_PACKAGES: tuple[tuple[tuple[str, ...], str], ...] = (
    (("debootstrap",), "debootstrap"),
    (("docker-compose",), "docker-compose"),
    (("systemd-analyze",), "systemd"),
    (("redis-server",), "redis-server"),
    (("redis-benchmark",), "redis-tools"),
    (("stress-ng",), "stress-ng"),
    (("bpftrace",), "bpftrace"),
)
_KUBERNETES_PACKAGES: tuple[tuple[tuple[str, ...], str], ...] = (
    (("etcd",), "etcd-server"),
    (("containerd",), "containerd"),
    (("runc",), "runc"),
    (("openssl",), "openssl"),
    (("ip",), "iproute2"),
)
_NETWORK_PLUGINS = Path("/usr/lib/cni/ptp")
# A plain su keeps the caller's PATH, on which the system's own programs are missing.
_SYSTEM_FOLDERS = "/usr/local/sbin:/usr/sbin:/sbin"
_POLICY = Path("/usr/sbin/policy-rc.d")
_LIBBPF = Path("/usr/include/bpf/libbpf.h")
_CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


def install_packages(for_tests: bool, for_kubernetes: bool = False) -> None:
    """Install what is missing for the demo, and for tests and benches or for the cluster as well when asked."""
    wanted = missing_packages(for_tests, for_kubernetes)
    if not wanted:
        return
    if shutil.which("apt-get") is None:
        raise SetupError(f"missing: {' '.join(wanted)} (Debian names), and there is no apt-get; install them by hand")
    if os.geteuid() != 0:
        raise SetupError(f"missing: {' '.join(wanted)}; run as root, or: apt-get install {' '.join(wanted)}")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    run_logged("package lists", ["apt-get", "update", "-q"], BUILD / "setup/apt-update.log", environment=quiet)
    install = ["apt-get", "install", "-q", "-y", "--no-install-recommends", *wanted]
    with _daemons_stay_down():
        run_logged(f"install {' '.join(wanted)}", install, BUILD / "setup/apt-install.log", environment=quiet)


def missing_packages(for_tests: bool, for_kubernetes: bool = False) -> list[str]:
    """Return the Debian packages whose programs are neither on the PATH nor among the system's own."""
    table = _RUN_PACKAGES + (_TEST_PACKAGES if for_tests else ()) + (_KUBERNETES_PACKAGES if for_kubernetes else ())
    wanted = {package for programs, package in table if not any(map(_is_installed, programs))}
    if not _engine_available():
        wanted.add("docker.io")
    if for_kubernetes and not _NETWORK_PLUGINS.exists():
        wanted.add("containernetworking-plugins")
    if not _LIBBPF.exists():
        wanted.add("libbpf-dev")
    if not _CA_BUNDLE.exists():
        wanted.add("ca-certificates")
    if not _python_has_ensurepip():
        wanted.add("python3-venv")
    return sorted(wanted)


def _engine_available() -> bool:
    """A daemon that answers (perhaps elsewhere, by DOCKER_HOST) is as good as one that can be started."""
    return _is_installed("dockerd") or engine_answers()


def _is_installed(program: str) -> bool:
    return any(shutil.which(program, path=path) for path in (os.environ.get("PATH"), _SYSTEM_FOLDERS))


def _python_has_ensurepip() -> bool:
    return subprocess.run([sys.executable, "-c", "import ensurepip"], capture_output=True, check=False).returncode == 0


@contextmanager
def _daemons_stay_down() -> Iterator[None]:
    """Keep installed daemons from starting: the demo starts its own, on its own ports, and stops them."""
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink()
