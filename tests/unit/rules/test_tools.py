import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_promtool_accepts_every_rule_file(run: Run, rule_files: list[Path]) -> None:
    result = run("promtool", "check", "rules", "--lint=all", "--lint-fatal", *rule_files)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_rules_behave_as_their_tests_say(run: Run, rules_folder: Path) -> None:
    files = sorted((rules_folder / "tests").glob("*.yml"))
    assert files
    result = run("promtool", "test", "rules", *files)
    assert result.returncode == 0, result.stdout + result.stderr


def test_promtool_accepts_the_example_of_a_prometheus_configuration(run: Run, rules_folder: Path) -> None:
    result = run("promtool", "check", "config", rules_folder / "prometheus.yml")
    assert result.returncode == 0, result.stdout + result.stderr


def test_amtool_accepts_the_routing(run: Run, rules_folder: Path) -> None:
    result = run("amtool", "check-config", rules_folder / "alertmanager.yml")
    assert result.returncode == 0, result.stdout + result.stderr


INTENTS = ("reserve", "activate", "release", "reclaim", "relieve", "migrate", "quarantine", "enforce")


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        *((("alertname=CppX", f"intent={intent}", "severity=info"), "cpp-actuator") for intent in INTENTS),
        (("alertname=CppMemoryLeak", "intent=activate", "severity=critical"), "cpp-actuator,people"),
        (("alertname=CppRelieve", "intent=relieve", "severity=warning"), "cpp-actuator,people"),
        (("alertname=CppWatchdog", "severity=none"), "cpp-actuator"),
        (("alertname=CppExporterDown", "severity=critical"), "people"),
        (("alertname=CppX", "intent=dance", "severity=info"), "people"),
        (("alertname=Other", "severity=critical"), "people"),
    ],
)
def test_an_alert_reaches_who_can_act_on_it(
    run: Run, rules_folder: Path, labels: tuple[str, ...], receivers: str
) -> None:
    file = rules_folder / "alertmanager.yml"
    result = run("amtool", "config", "routes", "test", f"--config.file={file}", *labels)
    assert result.stdout.strip() == receivers, result.stderr
