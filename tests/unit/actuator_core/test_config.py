"""The platform's section: one kind of several, and what is wrong with it in one line."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from actuator.config import ConfigError, load_config
from actuator.platforms.settings import DockerConfig, KubernetesConfig


def load(directory: Path, platform: Any) -> Any:
    file = directory / "actuator.yml"
    file.write_text(yaml.safe_dump({"webhook": {"token_file": "token"}, "platform": platform}))
    return load_config(file).platform


def test_a_platform_without_a_kind_is_docker_and_the_other_is_asked_for(tmp_path: Path) -> None:
    assert load(tmp_path, {"socket": "/run/d.sock"}) == DockerConfig(socket=Path("/run/d.sock"))
    found = load(tmp_path, {"kind": "kubernetes"})
    assert isinstance(found, KubernetesConfig)
    assert (found.namespace, found.kubeconfig, found.resize_patience) == ("cpp-system", None, 30.0)


@pytest.mark.parametrize(
    ("platform", "said"),
    [
        ({"kind": "podman"}, "platform.kind: is 'podman'; use one of 'docker', 'kubernetes'"),
        ({"kind": "kubernetes", "namespce": "x"}, "platform.namespce: is no key here; use one of kind, kubeconfig"),
        ({"kind": "kubernetes", "socket": "/x"}, "platform.socket: is no key here"),
        ({"kind": "docker", "namespace": "x"}, "platform.namespace: is no key here; use one of kind, socket, timeout"),
        ({"kind": "kubernetes", "kubeconfig": "/none"}, "platform.kubeconfig: path does not point to a file"),
        ({"kind": "kubernetes", "namespace": "A b"}, "platform.namespace: string should match"),
        ({"kind": "kubernetes", "resize_patience": "soon"}, "platform.resize_patience: is no duration"),
        ("kubernetes", "platform: input should be"),
    ],
)
def test_a_wrong_platform_is_one_line_with_its_key(tmp_path: Path, platform: Any, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, platform)
    assert said in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def run(directory: Path, platform: Any) -> subprocess.CompletedProcess[str]:
    load(directory, platform)
    (directory / "token").write_text("secret")
    file = directory / "actuator.yml"
    file.write_text(file.read_text().replace("token_file: token", f"token_file: {directory}/token"))
    command = [sys.executable, "-m", "actuator", "run", "--config.file", str(file), "--web.listen-address=127.0.0.1:0"]
    return subprocess.run(command, text=True, capture_output=True, check=False, timeout=30)


def test_a_run_that_can_be_nobody_to_the_cluster_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "kubeconfig").write_text("clusters: []\n")
    for platform in ({"kind": "kubernetes"}, {"kind": "kubernetes", "kubeconfig": str(tmp_path / "kubeconfig")}):
        answer = run(tmp_path, platform)
        assert (answer.returncode, answer.stderr.count("\n")) == (2, 1)
        assert "platform.kubeconfig" in answer.stderr


def test_the_kubernetes_client_is_loaded_only_where_it_is_used() -> None:
    code = "import actuator.__main__, actuator.outside, sys; print('kubernetes' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
