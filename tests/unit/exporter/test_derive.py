import numpy as np
import pytest

from exporter.history.derive import allocation, combine
from exporter.history.signals import COLUMN
from exporter.sources.families import CADVISOR_COUNTERS, CADVISOR_GAUGES, PROBE_COUNTERS, Wanted

NAN = float("nan")


def _row(entries: tuple[Wanted, ...], values: dict[str, float]) -> np.ndarray:
    return np.array([[values.get(entry.signal, NAN) for entry in entries]])


def _combined(cadvisor: dict[str, float], probe: dict[str, float] | None = None) -> dict[str, float]:
    row = combine(
        _row(CADVISOR_COUNTERS, cadvisor),
        _row(PROBE_COUNTERS, probe or {}),
        _row(CADVISOR_GAUGES, {}),
        np.array([[7.0, NAN]]),
    )[0]
    return {name: float(row[column]) for name, column in COLUMN.items()}


def test_where_both_sources_count_the_larger_is_taken_and_one_alone_suffices() -> None:
    assert _combined({"disk_write": 0.0}, {"disk_write": 5.0})["disk_write"] == 5.0
    assert _combined({"disk_write": 9.0}, {"disk_write": 5.0})["disk_write"] == 9.0
    assert _combined({}, {"disk_write": 5.0})["disk_write"] == 5.0
    assert _combined({"io_waiting": 0.2})["io_waiting"] == 0.2


def test_directions_are_summed_and_unknown_only_where_both_are() -> None:
    found = _combined({"network_receive": 3.0, "network_transmit": 4.0, "disk_read": 2.0})
    assert (found["network_io"], found["disk_io"]) == (7.0, 2.0)
    assert np.isnan(_combined({})["network_io"])


@pytest.mark.parametrize(
    ("periods", "throttled", "share"), [(10.0, 2.5, 0.25), (0.0, 0.0, 0.0), (NAN, NAN, 0.0), (10.0, 11.0, 1.0)]
)
def test_the_throttled_share_is_of_periods_and_zero_without_a_quota(
    periods: float, throttled: float, share: float
) -> None:
    found = _combined({"cpu": 1.0, "cpu_periods": periods, "cpu_throttled_periods": throttled})
    assert found["cpu_throttled"] == share


def test_nothing_is_throttled_or_not_before_cpu_is_known() -> None:
    assert np.isnan(_combined({})["cpu_throttled"])


def test_limits_are_what_is_set_and_unset_where_the_kernel_says_none() -> None:
    given = {"cpu_quota": 150_000.0, "cpu_period": 100_000.0, "memory_limit": 2.0**28, "memory_request": 0.0}
    found = allocation(_row(CADVISOR_GAUGES, given))
    assert (found.cpu_limit[0], found.memory_limit[0]) == (1.5, 2.0**28)
    assert np.isnan(found.memory_request[0])
    unlimited = allocation(_row(CADVISOR_GAUGES, {"cpu_quota": -1.0, "memory_limit": 9.223372036854772e18}))
    assert np.isnan([unlimited.cpu_limit[0], unlimited.memory_limit[0]]).all()
