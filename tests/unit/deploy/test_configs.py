import re
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

from actuator.config import load_config as load_actuator
from deploy.demo.configs import RULES, Files, Pace, write_configs
from deploy.demo.ports import USUAL_PORTS, choose_addresses
from exporter.config import load_config as load_exporter

ADDRESSES = {part: f"127.0.0.1:{40000 + number}" for number, part in enumerate(USUAL_PORTS)}


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return write_configs("cpp-here", tmp_path, ADDRESSES, "here", Pace())


def test_the_exporter_accepts_its_file_and_runs_at_the_pace_of_the_demo(files: Files) -> None:
    config = load_exporter(files.exporter)
    assert (config.node, config.interval) == ("here", 2.0)
    assert max(config.forecast.horizons) <= 60


def test_the_actuator_accepts_its_file_and_acts_for_real(files: Files) -> None:
    config = load_actuator(files.actuator)
    assert config.dry_run is False
    assert (
        config.cluster == yaml.safe_load((RULES / "prometheus.yml").read_text())["global"]["external_labels"]["cluster"]
    )
    assert config.prometheus.scrape_interval == 3.0


def test_the_token_is_random_and_no_one_else_can_read_it(files: Files, tmp_path: Path) -> None:
    assert stat.S_IMODE(files.token.stat().st_mode) == 0o600
    first = files.token.read_text()
    assert len(first) == 64
    assert write_configs("cpp-here", tmp_path, ADDRESSES, "here", Pace()).token.read_text() != first


def test_prometheus_runs_the_shipped_rules_at_the_new_addresses(files: Files) -> None:
    document = yaml.safe_load(files.prometheus.read_text())
    shipped = yaml.safe_load((RULES / "prometheus.yml").read_text())
    assert all(Path(pattern).parent == RULES for pattern in document["rule_files"])
    assert [job["job_name"] for job in document["scrape_configs"]] == [
        job["job_name"] for job in shipped["scrape_configs"]
    ]
    assert all(job["honor_labels"] for job in document["scrape_configs"])
    assert document["global"]["external_labels"] == shipped["global"]["external_labels"]


def test_containers_of_others_never_reach_prometheus(files: Files) -> None:
    for job in yaml.safe_load(files.prometheus.read_text())["scrape_configs"]:
        kept = job["metric_relabel_configs"][-1]
        assert (kept["source_labels"], kept["action"]) == (["container"], "keep")
        matches = re.compile(kept["regex"]).fullmatch
        assert matches("cpp-here-service")
        assert matches("")
        assert not matches("database")


def test_alertmanager_keeps_its_routes_and_gets_the_actuator_and_the_token(files: Files) -> None:
    document = yaml.safe_load(files.alertmanager.read_text())
    assert document["route"] == yaml.safe_load((RULES / "alertmanager.yml").read_text())["route"]
    webhooks = [hook for receiver in document["receivers"] for hook in receiver.get("webhook_configs", [])]
    assert {hook["url"] for hook in webhooks} == {f"http://{ADDRESSES['actuator']}/alerts"}
    assert {hook["http_config"]["authorization"]["credentials_file"] for hook in webhooks} == {str(files.token)}


@pytest.mark.parametrize(
    ("command", "which"),
    [(["promtool", "check", "config"], "prometheus"), (["amtool", "check-config"], "alertmanager")],
)
def test_the_tools_of_prometheus_accept_the_generated_files(files: Files, command: list[str], which: str) -> None:
    done = subprocess.run([*command, getattr(files, which)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_part_gets_an_address_of_its_own() -> None:
    addresses = choose_addresses(usual=False)
    assert set(addresses) == set(USUAL_PORTS)
    assert len(set(addresses.values())) == len(addresses)
