"""Writes base/ and operator/ from the chart; a test fails where they are stale. Run it after each change there."""

import tempfile
from pathlib import Path

from deploy.kubernetes.chart import CHART, run_helm
from deploy.setup.stamps import ROOT

FOLDER = ROOT / "deploy/kubernetes"
VALUES = FOLDER / "values.yaml"
_HEAD = "# Made from deploy/helm by deploy/kubernetes/render.py.\n"
_OPERATOR = "monitoring.yaml"


def render() -> dict[Path, str]:
    """Return each file and what it has to hold; raise SetupError with Helm's complaint."""
    with tempfile.TemporaryDirectory() as folder:
        run_helm("template", "cpp", CHART, "--namespace=cpp-system", f"--values={VALUES}", f"--output-dir={folder}")
        rendered = sorted(Path(folder).rglob("*.yaml"))
        return {_place(path.name): _text(path.read_text()) for path in rendered}


def _place(name: str) -> Path:
    return FOLDER / ("operator" if name == _OPERATOR else "base") / name


def _text(rendered: str) -> str:
    lines = [line.rstrip() for line in rendered.splitlines() if not line.startswith("# Source: ")]
    text = "\n".join(lines).replace("app.kubernetes.io/managed-by: Helm", "app.kubernetes.io/managed-by: kustomize")
    return _HEAD + text.removeprefix("---\n") + "\n"


if __name__ == "__main__":
    for target, held in render().items():
        target.write_text(held)
