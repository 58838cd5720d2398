from pathlib import Path

import pytest

from exporter.probe.cgroups import Hierarchy

CONTAINER = "0123456789abcdef" * 4


@pytest.fixture
def container_id() -> str:
    return CONTAINER


@pytest.fixture
def hybrid(tmp_path: Path) -> Path:
    mount = tmp_path / "unified"
    for path in (f"docker/{CONTAINER}", "system.slice/cron.service", "docker/buildkit"):
        (mount / path).mkdir(parents=True)
    (mount / "cgroup.controllers").write_text("")
    (mount / f"docker/{CONTAINER}/cpu.pressure").write_text(
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=2500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=1000000\n"
    )
    return tmp_path


@pytest.fixture
def hierarchy(hybrid: Path) -> Hierarchy:
    return Hierarchy(hybrid / "unified")
