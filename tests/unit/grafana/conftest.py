"""The shipped dashboards as data."""

import json
from pathlib import Path
from typing import Any

import pytest

GRAFANA = Path(__file__).parents[3] / "grafana"


@pytest.fixture(scope="session")
def grafana_folder() -> Path:
    return GRAFANA


@pytest.fixture(scope="session", params=["container", "fleet"])
def dashboard(request: pytest.FixtureRequest) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((GRAFANA / "dashboards" / f"{request.param}.json").read_text())
    return loaded


@pytest.fixture(scope="session")
def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]
