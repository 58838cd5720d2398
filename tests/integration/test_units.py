import re
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.setup.stamps import ROOT

UNITS = sorted((ROOT / "deploy/systemd").glob("*.service"))
PROGRAMS = ("cpp-exporter", "cpp-probe", "cpp-actuator", "cadvisor")


@pytest.fixture
def installed_units(tmp_path: Path) -> list[Path]:
    """The units with programs that exist, so that systemd checks all the rest."""
    for program in PROGRAMS:
        (tmp_path / program).symlink_to("/bin/true")
    copies = []
    for unit in UNITS:
        copy = tmp_path / unit.name
        copy.write_text(unit.read_text().replace("/opt/cpp/bin/", f"{tmp_path}/"))
        copies.append(copy)
    return copies


def settings(unit: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in unit.read_text().splitlines() if re.match(r"\w+=", line))


def exposure(unit: Path) -> float:
    command = ["systemd-analyze", "security", "--offline=true", unit]
    answer = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", answer)
    assert found, answer
    return float(found[1])


def test_systemd_accepts_every_unit(installed_units: list[Path]) -> None:
    assert shutil.which("systemd-analyze"), "systemd-analyze is missing; run: make setup-tests"
    done = subprocess.run(["systemd-analyze", "verify", *installed_units], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (0, "")


def test_systemd_refuses_a_unit_with_a_misspelt_setting(tmp_path: Path) -> None:
    unit = tmp_path / "wrong.service"
    unit.write_text("[Service]\nExecStart=/bin/true\nProtectSytem=strict\n")
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert "ProtectSytem" in done.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_every_unit_gives_up_new_privileges_and_a_writable_system(unit: Path) -> None:
    found = settings(unit)
    assert found["NoNewPrivileges"] == "yes"
    assert found["ProtectSystem"] == "strict"
    assert "CapabilityBoundingSet" in found
    assert "MemoryMax" in found


@pytest.mark.parametrize(("name", "worst"), [("cpp-exporter", 2.0), ("cpp-actuator", 2.0), ("cpp-cadvisor", 5.0)])
def test_the_exposure_that_systemd_sees_stays_low(name: str, worst: float) -> None:
    assert exposure(ROOT / f"deploy/systemd/{name}.service") <= worst


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_every_unit_listens_on_this_machine_alone(unit: Path) -> None:
    assert re.search(r"listen(-address)?=127\.0\.0\.1:\d+$", settings(unit)["ExecStart"])


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_the_page_that_a_unit_points_at_is_installed_by_the_guide(unit: Path) -> None:
    page = settings(unit)["Documentation"].removeprefix("file://")
    assert f"install -D -m 0644 docs/install.md {page}" in (ROOT / "docs/install.md").read_text()


def test_only_the_probe_and_cadvisor_run_as_root() -> None:
    assert {unit.stem for unit in UNITS if settings(unit).get("DynamicUser") != "yes"} == {"cpp-probe", "cpp-cadvisor"}


def test_the_actuator_gets_its_token_as_a_credential_and_never_by_environment() -> None:
    found = settings(ROOT / "deploy/systemd/cpp-actuator.service")
    assert found["LoadCredential"].startswith("token:")
    assert "Environment" not in found
