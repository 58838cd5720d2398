import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from deploy.demo.containers import docker, inspect
from deploy.setup.base_image import build_shipped, ensure_debian_image, ensure_program_image
from deploy.setup.stamps import ROOT

COMPOSE = ROOT / "deploy/compose"
SHIPPED = ROOT / "rules"
PROJECT = f"cpp-test-compose-{os.getpid()}"
OWN_PARTS = ("cadvisor", "probe", "exporter", "actuator")
# Grafana is in no Debian release, so it can be checked but not started where there is no registry.
STARTED = (*OWN_PARTS, "prometheus", "alertmanager")
TOKEN = "a-secret-of-this-test"


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def compose(environment: dict[str, str], *arguments: str) -> str:
    """Debian's Compose 1.29 is older than ``cgroup:``, and by its old API has what that asks for."""
    document = load(COMPOSE / "compose.yml")
    assert document["services"]["actuator"].pop("cgroup") == "host"
    done = subprocess.run(
        ["docker-compose", "--project-name", PROJECT, "--file", "-", *arguments],
        cwd=COMPOSE,
        input=yaml.safe_dump(document),
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


def secret(folder: Path) -> Path:
    """Shared as the compose file says: Alertmanager's user owns it, the actuator's group reads it."""
    path = folder / "token"
    path.write_text(TOKEN)
    path.chmod(0o640)
    os.chown(path, 65534, 65532)
    return path


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    environment = {
        "CPP_TOKEN_FILE": str(secret(tmp_path_factory.mktemp("secret"))),
        "DOCKER_GID": str(Path("/var/run/docker.sock").stat().st_gid),
        "PROMETHEUS_IMAGE": ensure_program_image("cpp-test/prometheus", "prometheus"),
        "ALERTMANAGER_IMAGE": ensure_program_image("cpp-test/alertmanager", "prometheus-alertmanager"),
        "PROMETHEUS_PORT": "0",
        "ALERTMANAGER_PORT": "0",
        "ACTUATOR_PORT": "0",
        **{f"CPP_{part.upper()}_IMAGE": build_shipped(part) for part in OWN_PARTS},
    }
    try:
        compose(environment, "up", "--detach", "--no-build", *STARTED)
        yield environment
    finally:
        logs = compose(environment, "logs", "--no-color", "--tail=40")
        print(logs)
        compose(environment, "down", "--volumes")


@pytest.fixture
def limited(running: dict[str, str]) -> Iterator[str]:
    """The id of a container with a CPU limit, which is none of the system's own."""
    options = ("--detach", "--rm", "--network=none", "--name", f"{PROJECT}-limited", "--cpus=0.5")
    yield docker("run", *options, ensure_debian_image(), "sleep", "300").strip()
    docker("rm", "--force", f"{PROJECT}-limited")


def published(part: str, port: int) -> str:
    return "http://" + docker("port", f"{PROJECT}_{part}_1", str(port)).split()[0]


def deliver(**labels: str) -> None:
    """Post one firing alert as Alertmanager does."""
    alert = {"status": "firing", "labels": labels, "annotations": {}, "startsAt": "2026-01-01T00:00:00Z"}
    answer = requests.post(
        f"{published('actuator', 17902)}/alerts",
        json={"version": "4", "status": "firing", "receiver": "cpp-actuator", "alerts": [alert]},
        headers={"Authorization": f"Bearer {TOKEN}"},
        timeout=5,
    )
    assert answer.status_code == 202, answer.text


def verdicts_on(container_id: str) -> set[str]:
    actions = requests.get(f"{published('actuator', 17902)}/actions", timeout=5).json()["actions"]
    mine = [action for action in actions if action["target"]["container_id"] == container_id]
    return {decision["code"] for action in mine for decision in action["decisions"]}


def query(expression: str) -> list[dict[str, Any]]:
    answer = requests.get(f"{published('prometheus', 9090)}/api/v1/query", params={"query": expression}, timeout=5)
    return list(answer.json()["data"]["result"])


def eventually(expression: str, timeout: float = 90.0) -> list[dict[str, Any]]:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        try:
            if found := query(expression):
                return found
        except (requests.RequestException, ValueError):
            pass  # Prometheus is still starting
        time.sleep(1)
    pytest.fail(f"in {timeout:.0f} s Prometheus had no answer to {expression}")


def test_the_compose_file_is_valid(tmp_path: Path) -> None:
    compose({"CPP_TOKEN_FILE": str(secret(tmp_path))}, "config", "--quiet")


def test_prometheus_has_the_shipped_configuration_but_for_addresses_and_folder() -> None:
    ours, shipped = load(COMPOSE / "prometheus.yml"), load(SHIPPED / "prometheus.yml")
    for document in (ours, shipped):
        for job in [*document["scrape_configs"], *document["alerting"]["alertmanagers"]]:
            del job["static_configs"]
    ours["rule_files"] = [name.removeprefix("rules/") for name in ours["rule_files"]]
    assert ours == shipped


def test_alertmanager_has_the_shipped_configuration_but_for_address_and_token() -> None:
    ours, shipped = load(COMPOSE / "alertmanager.yml"), load(SHIPPED / "alertmanager.yml")
    for document in (ours, shipped):
        for receiver in document["receivers"]:
            for webhook in receiver.get("webhook_configs", []):
                del webhook["url"], webhook["http_config"]["authorization"]["credentials_file"]
    assert ours == shipped


def test_the_actuator_is_shipped_in_dry_run() -> None:
    assert load(COMPOSE / "actuator.yml")["dry_run"] is True


def test_no_part_is_privileged_and_each_has_only_the_capabilities_it_needs() -> None:
    services = load(COMPOSE / "compose.yml")["services"]
    assert all(service["read_only"] and service["cap_drop"] == ["ALL"] for service in services.values())
    assert all("no-new-privileges:true" in service["security_opt"] for service in services.values())
    assert not [name for name, service in services.items() if service.get("privileged")]
    assert {name for name, service in services.items() if service.get("cap_add")} == {"probe", "cadvisor"}


def test_nothing_is_published_beyond_this_machine() -> None:
    for service in load(COMPOSE / "compose.yml")["services"].values():
        assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", []))


def test_the_secret_is_in_no_environment_and_no_command() -> None:
    for service in load(COMPOSE / "compose.yml")["services"].values():
        assert "token" not in json.dumps([service.get("environment"), service.get("command")]).lower()


def test_the_running_system_sees_its_own_containers(running: dict[str, str]) -> None:
    eventually(f'cpp_cpu_usage_cores{{container="{PROJECT}_exporter_1"}}')


def test_both_sources_of_the_exporter_are_up(running: dict[str, str]) -> None:
    eventually('cpp_up{source="cadvisor"} == 1 and on() cpp_up{source="probe"} == 1')


def test_the_watchdog_reaches_the_actuator_through_alertmanager(running: dict[str, str]) -> None:
    eventually("time() - cpp_watchdog_last_timestamp_seconds < 120", timeout=150)


def test_the_actuator_finds_the_limit_of_a_running_container_in_the_kernel(limited: str) -> None:
    name = f"{PROJECT}-limited"
    eventually('up{job="cpp-actuator"} == 1')
    deliver(alertname="CppWatchdog", cluster="local", severity="none")
    deliver(
        alertname="CppTest", cluster="local", intent="activate", resource="cpu", container=name, container_id=limited
    )
    deadline = time.monotonic() + 30
    while not (verdicts := verdicts_on(limited)):
        assert time.monotonic() < deadline, "the actuator said nothing of the order"
        time.sleep(0.2)
    # Asked only of a container whose limit was read; where it cannot be, the order ends before.
    assert verdicts == {"start_up"}


def test_the_actuator_sees_the_cgroups_of_the_host(running: dict[str, str]) -> None:
    settings = inspect(f"{PROJECT}_actuator_1")["HostConfig"]
    assert (settings["PidMode"], settings["CgroupnsMode"]) == ("host", "host")


def test_the_guides_commands_work_in_the_actuators_container(running: dict[str, str]) -> None:
    guide = (ROOT / "docs/install.md").read_text()
    commands = [command.split() for command in re.findall(r"docker compose exec actuator (.+)", guide)]
    assert [command[1] for command in commands] == ["history", "restore"]
    for command in commands:
        docker("exec", f"{PROJECT}_actuator_1", *command)


def test_grafana_shows_the_shipped_dashboards_from_the_prometheus_of_the_compose_file() -> None:
    grafana = load(COMPOSE / "compose.yml")["services"]["grafana"]
    mounts = dict(volume.split(":")[:2] for volume in grafana["volumes"])
    provider = load(ROOT / "grafana/provisioning/dashboards/cpp.yml")["providers"][0]
    assert mounts["../../grafana/dashboards"] == provider["options"]["path"]
    source = load(ROOT / "grafana/provisioning/datasources/prometheus.yml")["datasources"][0]
    assert source["url"] == "${PROMETHEUS_URL}"
    assert grafana["environment"]["PROMETHEUS_URL"] == "http://prometheus:9090"
