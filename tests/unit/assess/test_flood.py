from collections.abc import Callable

import numpy as np
import pytest

from exporter.assess import flood
from exporter.history.windows import Window

MakeWindow = Callable[..., Window]


def _traffic(step: float, seconds: float, now: dict[str, float], past: dict[str, float]) -> dict[str, np.ndarray]:
    noise = np.random.default_rng(2)
    late = max(round(seconds / step), 1)
    series = {}
    for name, usual in past.items():
        values = usual * noise.uniform(0.8, 1.2, round(900 / step))
        values[-late:] = now[name] * noise.uniform(0.9, 1.1, late)
        series[name] = values
    return series


QUIET = {"network_receive": 2e4, "network_transmit": 2e4, "network_packets": 60.0}
UDP = {"network_receive": 2e4, "network_transmit": 4e7, "network_packets": 4e4}
SYN = {"network_receive": 1.2e6, "network_transmit": 1.2e6, "network_packets": 4e4}
SURGE = {"network_receive": 1e7, "network_transmit": 1.2e7, "network_packets": 2e4}
PROXY = {"network_receive": 6e7, "network_transmit": 6.1e7, "network_packets": 1e5}


@pytest.mark.parametrize("step", [2.0, 15.0])
@pytest.mark.parametrize("now", [UDP, SYN], ids=["one-sided", "tiny packets"])
@pytest.mark.parametrize("seconds", [15.0, 300.0])
def test_a_flood_from_a_quiet_container_is_called_and_stays_called(
    make_window: MakeWindow, step: float, now: dict[str, float], seconds: float
) -> None:
    assert flood.find(make_window(step=step, **_traffic(step, seconds, now, QUIET))).score[0] > 0.8


def test_a_flood_that_comes_in_is_told_from_one_that_goes_out(make_window: MakeWindow) -> None:
    inward = {**UDP, "network_receive": UDP["network_transmit"], "network_transmit": 1e4}
    assert flood.find(make_window(**_traffic(2.0, 20, inward, QUIET))).outward[0] < 0.1
    assert flood.find(make_window(**_traffic(2.0, 20, UDP, QUIET))).outward[0] > 0.9


def test_a_steadily_busy_proxy_is_no_flood(make_window: MakeWindow) -> None:
    assert flood.find(make_window(**_traffic(2.0, 20, PROXY, PROXY))).score[0] < 0.1


def test_a_steadily_busy_sender_is_no_flood(make_window: MakeWindow) -> None:
    assert flood.find(make_window(**_traffic(2.0, 20, UDP, UDP))).score[0] < 0.1


def test_more_customers_are_no_flood(make_window: MakeWindow) -> None:
    assert flood.find(make_window(**_traffic(2.0, 60, SURGE, QUIET))).score[0] < 0.8


def test_many_times_next_to_nothing_is_no_flood(make_window: MakeWindow) -> None:
    past = {"network_receive": 10.0, "network_transmit": 10.0, "network_packets": 0.1}
    now = {"network_receive": 10.0, "network_transmit": 5e4, "network_packets": 60.0}
    assert flood.find(make_window(**_traffic(2.0, 20, now, past))).score[0] < 0.1


def test_a_regular_transfer_is_no_flood(make_window: MakeWindow) -> None:
    series = {name: np.full(450, usual) for name, usual in QUIET.items()}
    for start in range(30, 450, 100):
        for name, values in series.items():
            values[start : start + 20] = UDP[name]
    assert flood.find(make_window(**series)).score[0] < 0.8


def test_without_a_past_nothing_is_called_a_flood(make_window: MakeWindow) -> None:
    series = {name: np.full(20, value) for name, value in UDP.items()}
    assert flood.find(make_window(**series)).score[0] == 0.0
    unseen = {name: np.full(20, np.nan) for name in UDP}
    assert flood.find(make_window(**unseen)).score[0] == 0.0
