"""The manifests for kustomize are what the chart makes."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.kubernetes.chart import CHART, run_helm
from deploy.kubernetes.render import FOLDER, VALUES, render
from deploy.setup.kubernetes import KUBERNETES

Objects = dict[tuple[str, str, str], dict[str, Any]]
OWN = {("Namespace", "", "cpp-system"), ("Secret", "cpp-system", "cpp-actuator-token")}
"""Helm makes the one by --create-namespace, and is given the other."""


def kustomize(folder: Path) -> str:
    done = subprocess.run([KUBERNETES / "kubectl", "kustomize", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def manifests(tmp_path: Path) -> Path:
    """A copy with a token, as a user has it."""
    copy = tmp_path / "kubernetes"
    shutil.copytree(FOLDER, copy, ignore=shutil.ignore_patterns("__pycache__", "*.py"))
    (copy / "base/token").write_text("secret")
    return copy


def test_the_manifests_are_up_to_date() -> None:
    stale = [path.name for path, text in render().items() if not path.exists() or path.read_text() != text]
    assert not stale, "run: python -m deploy.kubernetes.render"


def test_kustomize_makes_the_same_objects_as_helm(manifests: Path, objects: Callable[[str], Objects]) -> None:
    command = ["template", "cpp", CHART, "--namespace=cpp-system", f"--values={VALUES}"]
    by_helm = objects(run_helm(*command).replace("managed-by: Helm", "managed-by: kustomize"))
    by_kustomize = objects(kustomize(manifests / "operator"))
    assert by_kustomize.keys() - by_helm.keys() == OWN
    for key, made in by_helm.items():
        assert by_kustomize[key] == made


def test_the_actuators_namespace_takes_restricted_pods_only(manifests: Path, objects: Callable[[str], Objects]) -> None:
    home = objects(kustomize(manifests / "base"))["Namespace", "", "cpp-system"]
    assert home["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_a_namespace_is_switched_on_as_by_the_chart(chart: Callable[..., Objects]) -> None:
    by_chart = chart('actuator.actsIn=["shop"]')["RoleBinding", "shop", "cpp-actuator-acts"]
    by_hand = yaml.safe_load((FOLDER / "act.yaml").read_text())
    assert by_hand["roleRef"] == by_chart["roleRef"]
    assert by_hand["subjects"] == by_chart["subjects"]


def test_an_overlay_replaces_the_configuration(manifests: Path, objects: Callable[[str], Objects]) -> None:
    overlay = manifests / "mine"
    overlay.mkdir()
    (overlay / "actuator.yml").write_text("dry_run: false\n")
    generated = {"name": "cpp-actuator", "namespace": "cpp-system", "behavior": "replace", "files": ["actuator.yml"]}
    document = {"resources": ["../base"], "configMapGenerator": [generated]}
    (overlay / "kustomization.yaml").write_text(yaml.safe_dump(document))
    made = objects(kustomize(overlay))
    configs = [
        each for (kind, _, name), each in made.items() if kind == "ConfigMap" and name.startswith("cpp-actuator")
    ]
    assert [config["data"] for config in configs] == [{"actuator.yml": "dry_run: false\n"}]
