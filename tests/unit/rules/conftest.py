"""The shipped rules as data, and the tools that judge them."""

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

RULES = Path(__file__).parents[3] / "rules"


@pytest.fixture(scope="session")
def rules_folder() -> Path:
    return RULES


@pytest.fixture(scope="session")
def rule_files() -> list[Path]:
    return sorted([RULES / "recording.yml", *RULES.glob("alerts-*.yml")])


@pytest.fixture(scope="session")
def groups(rule_files: list[Path]) -> list[dict[str, Any]]:
    return [group for path in rule_files for group in yaml.safe_load(path.read_text())["groups"]]


@pytest.fixture(scope="session")
def rules(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [rule for group in groups for rule in group["rules"]]


@pytest.fixture(scope="session")
def alerts(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [rule for rule in rules if "alert" in rule]


@pytest.fixture(scope="session")
def run() -> Callable[..., subprocess.CompletedProcess[str]]:
    def call(*command: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60, check=False)

    return call


@pytest.fixture(scope="session")
def actuator_names() -> set[str]:
    """Names in the source of the actuator's /metrics, whose families exist only once there is a ledger."""
    written = set(re.findall(r'"(cpp_\w+)"', (RULES.parent / "actuator" / "metrics.py").read_text()))
    return written | {f"{name}_total" for name in written}


@pytest.fixture(scope="session")
def metric_names() -> Callable[[str], Iterator[str]]:
    """Names of series in an expression or a template: ours, and those of recording rules."""

    def find(text: str) -> Iterator[str]:
        for name in re.findall(r"[a-zA-Z_][a-zA-Z0-9_:]*", text):
            if name.startswith("cpp_") or (":" in name and "cpp" in name):
                yield name.rstrip(":")

    return find
