"""The Helm chart, and the Helm that was built here."""

import subprocess

from deploy.setup.kubernetes import HELM
from deploy.setup.shell import SetupError
from deploy.setup.stamps import ROOT

CHART = ROOT / "deploy/helm"


def run_helm(*arguments: object) -> str:
    """Return what Helm says; raise SetupError with its complaint."""
    command = [str(word) for word in (HELM, *arguments)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise SetupError(f"{HELM} is not built; run: make setup-tests") from error
    if done.returncode:
        raise SetupError(f"helm {arguments[0]}: {done.stderr.strip()}")
    return done.stdout
