import json
import subprocess
from pathlib import Path

import pytest

from deploy.setup.base_image import build_shipped
from deploy.setup.stamps import ROOT

IMAGES = ROOT / "deploy/images"
NAMES = ("exporter", "actuator", "probe", "cadvisor")


def inside(image: str, *command: str, entrypoint: str) -> subprocess.CompletedProcess[str]:
    run = ["docker", "run", "--rm", "--network=none", "--entrypoint", entrypoint, image, *command]
    return subprocess.run(run, capture_output=True, text=True, timeout=60, check=False)


def config_of(image: str) -> dict[str, object]:
    document = subprocess.run(["docker", "image", "inspect", image], capture_output=True, text=True, check=True).stdout
    return json.loads(document)[0]["Config"]


@pytest.mark.parametrize("name", NAMES)
def test_every_image_is_built_with_a_numeric_user_and_its_labels(name: str) -> None:
    config = config_of(build_shipped(name))
    user = str(config["User"])
    assert all(part.isdigit() for part in user.split(":")), user
    labels = config["Labels"]
    for label in ("title", "description", "version", "revision"):
        assert labels[f"org.opencontainers.image.{label}"]


@pytest.mark.parametrize("name", ["exporter", "actuator"])
def test_parts_that_need_no_host_privilege_do_not_run_as_root(name: str) -> None:
    assert config_of(build_shipped(name))["User"] == "65532:65532"


@pytest.mark.parametrize("name", ["exporter", "actuator", "probe"])
def test_the_program_of_an_image_starts_and_tells_its_usage(name: str) -> None:
    answer = inside(build_shipped(name), "--help", entrypoint=f"/opt/cpp/bin/cpp-{name}")
    assert answer.returncode == 0, answer.stderr
    assert f"usage: cpp-{name}" in answer.stdout


def test_the_actuator_image_carries_no_forecasting_library() -> None:
    probe = "import importlib.util as u; print([n for n in ('pmdarima', 'pandas', 'scipy') if u.find_spec(n)])"
    assert inside(build_shipped("actuator"), "-c", probe, entrypoint="/opt/cpp/bin/python").stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["exporter", "actuator", "probe"])
def test_no_image_carries_what_it_was_made_with(name: str) -> None:
    probe = "import importlib.util as u; print([n for n in ('pip',) if u.find_spec(n)])"
    assert inside(build_shipped(name), "-c", probe, entrypoint="/opt/cpp/bin/python").stdout.strip() == "[]"


def test_the_exporter_image_carries_the_training_library() -> None:
    answer = inside(build_shipped("exporter"), "-c", "import pmdarima", entrypoint="/opt/cpp/bin/python")
    assert answer.returncode == 0, answer.stderr


def test_the_probe_image_carries_bpftrace() -> None:
    answer = inside(build_shipped("probe"), "--version", entrypoint="/usr/bin/bpftrace")
    assert answer.stdout.startswith("bpftrace v")


def test_no_image_is_made_from_a_moving_tag() -> None:
    for recipe in IMAGES.glob("*.Dockerfile"):
        bases = [line for line in recipe.read_text().splitlines() if line.startswith(("ARG BASE", "ARG GO_IMAGE"))]
        assert bases
        assert not [base for base in bases if base.endswith(":latest") or ":" not in base], recipe
        assert Path(recipe).read_text().rstrip().splitlines()[-1].startswith("CMD")
