"""What is made from this repository's sources: the Python environment, two Go programs and the probe's in C."""

import shutil
import subprocess
import sys
from pathlib import Path

from deploy.setup.shell import SetupError, run_logged
from deploy.setup.stamps import BIN, BUILD, ROOT, content_key, is_fresh, mark_done

VENV = ROOT / ".venv"
CADVISOR = BIN / "cadvisor"
WORKLOAD = BIN / "workload"
PROBE_KERNEL = VENV / "bin/cpp-probe-kernel"
_EXTRAS = "exporter,actuator,dev"


def make_environment() -> None:
    """Make .venv with the project and all extras, again whenever pyproject.toml changes."""
    key = content_key([ROOT / "pyproject.toml"], str(ROOT))
    outputs = [VENV / "bin" / name for name in ("cpp-exporter", "cpp-probe", "cpp-actuator", "pytest")]
    if is_fresh("venv", key, outputs):
        return
    if not (VENV / "bin/pip").exists():
        run_logged("make .venv", [sys.executable, "-m", "venv", "--clear", VENV], BUILD / "setup/venv.log")
    install = [VENV / "bin/python", "-m", "pip", "install", "--quiet", "-e", f"{ROOT}[{_EXTRAS}]"]
    run_logged("install Python libraries (about 800 MB)", install, BUILD / "setup/pip.log")
    mark_done("venv", key)


def build_programs() -> None:
    """Build the workload program, what the probe runs in the kernel, and cAdvisor unless one is on the PATH."""
    if shutil.which("cadvisor") is None:
        _go_build("cAdvisor (a minute the first time)", ROOT / "deploy/cadvisor", CADVISOR)
    _go_build("the workload program", ROOT / "deploy/demo/workload", WORKLOAD)
    _build_probe_kernel()


def _build_probe_kernel() -> None:
    folder, build = ROOT / "exporter/probe/programs", BUILD / "probe"
    key = content_key(sorted(folder.iterdir()))
    if is_fresh("probe-kernel", key, [PROBE_KERNEL]):
        return
    build.mkdir(parents=True, exist_ok=True)
    command = ["make", "--always-make", "-C", folder, f"BUILD={build}", f"OUTPUT={PROBE_KERNEL}"]
    run_logged("build what the probe runs in the kernel", command, BUILD / "setup/probe-kernel.log")
    mark_done("probe-kernel", key)


def find_go(what: str) -> tuple[str, str]:
    """Return the go program and its version; raise SetupError that says for ``what`` it is needed."""
    go = shutil.which("go") or "/usr/local/go/bin/go"
    if not Path(go).exists():
        raise SetupError(f"{what}: no go program on the PATH; install Go 1.26 or newer")
    return go, subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=True).stdout


def _go_build(what: str, folder: Path, output: Path) -> None:
    go, version = find_go(what)
    sources = [path for path in folder.rglob("*") if path.suffix in {".go", ".mod", ".sum"}]
    key = content_key(sources, version)
    if is_fresh(f"go-{output.name}", key, [output]):
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    # Without cgo the programs are static: no compiler is needed here, and they run in an empty image.
    settings = {"CGO_ENABLED": "0", "GOWORK": "off"}
    command = [go, "build", "-trimpath", "-ldflags=-s -w -buildid=", "-o", output, "."]
    run_logged(f"build {what}", command, BUILD / f"setup/go-{output.name}.log", cwd=folder, environment=settings)
    mark_done(f"go-{output.name}", key)
