import gzip
from types import SimpleNamespace
from typing import Any

import pytest

from exporter.forecast.health import Health
from exporter.publish.exposition import Page
from exporter.publish.selfmetrics import add_training


def served(forecast: Any) -> list[str]:
    page = Page([])
    add_training(page, SimpleNamespace(forecast=forecast))
    return [line for line in gzip.decompress(page.packed()).decode().splitlines() if not line.startswith("#")]


@pytest.mark.parametrize(("fitted", "lines"), [(float("nan"), 0), (1700000000.0, 1)])
def test_every_cause_and_reason_is_served_from_the_start_and_the_time_of_a_pass_once_there_was_one(
    fitted: float, lines: int
) -> None:
    health = Health(
        passes={"schedule": 2, "drift": 0, "reclaim": 0},
        failures={"start": 0, "deadline": 1, "died": 0, "nonsense": 0},
        changed={"drift": 3, "reclaim": 0},
        cpu_seconds=12.5,
        fitted=fitted,
    )
    found = served(SimpleNamespace(training=health))
    assert 'cpp_training_passes_total{cause="schedule"} 2' in found
    assert 'cpp_training_failures_total{reason="deadline"} 1' in found
    assert 'cpp_training_changed_series_total{cause="drift"} 3' in found
    assert "cpp_training_cpu_seconds_total 12.5" in found
    assert len([line for line in found if line.startswith("cpp_forecast_fitted_timestamp_seconds")]) == lines
    assert len(found) == 3 + 4 + 2 + 1 + lines


def test_before_the_first_forecast_nothing_is_said_of_training() -> None:
    assert served(None) == []
