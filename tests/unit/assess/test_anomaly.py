from collections.abc import Callable

import numpy as np
import pytest

from exporter.assess.anomaly import CYCLE, TOGETHER, Anomalies, evidence_rate
from exporter.assess.rarity import MONTH
from exporter.history.windows import Window

MakeWindow = Callable[..., Window]
LEVELS = {"cpu": 0.3, "memory": 2e8, "network_io": 2e6, "threads": 20.0, "connections": 10.0, "file_opens": 30.0}


def _usual(rows: int = 1, width: int = 240) -> dict[str, np.ndarray]:
    noise = np.random.default_rng(6)
    return {name: level * noise.normal(1, 0.1, (rows, width)) for name, level in LEVELS.items()}


def _score(window: Window, departure: float = 0.0) -> np.ndarray:
    return Anomalies(300.0).assess(window, np.full(len(window.lives), departure)).score


def test_a_container_that_behaves_as_ever_is_no_anomaly(make_window: MakeWindow) -> None:
    assert _score(make_window(step=15.0, **_usual(rows=50))).max() < 0.3


def test_two_signals_far_from_their_past_are_an_alarm_and_one_is_not(make_window: MakeWindow) -> None:
    series = _usual()
    series["connections"][:, -2:] = 200.0
    assert 0.4 < _score(make_window(step=15.0, **series))[0] < 0.8
    series["threads"][:, -2:] = 300.0
    assert _score(make_window(step=15.0, **series))[0] >= 0.8


def test_a_sudden_silence_is_an_anomaly(make_window: MakeWindow) -> None:
    series = _usual()
    for name in ("cpu", "network_io", "connections"):
        series[name][:, -2:] = 0.0
    assert _score(make_window(step=15.0, **series))[0] > 0.6


def test_a_strange_mix_of_calls_adds_to_another_signal(make_window: MakeWindow) -> None:
    series = _usual()
    series["threads"][:, -2:] = 300.0
    assert _score(make_window(step=15.0, **series), departure=1.0)[0] >= 0.8


def test_a_rhythm_is_no_anomaly_at_its_next_beat(make_window: MakeWindow) -> None:
    series = _usual()
    beats = np.arange(240) % 10 < 2
    for name in ("cpu", "network_io", "connections"):
        series[name][:, beats] *= 8
    assert beats[-10:].any()
    for late in range(1, 11):
        shifted = {name: values[:, :-late] for name, values in series.items()}
        assert _score(make_window(step=15.0, **shifted))[0] < 0.5


def test_without_enough_past_nothing_is_strange(make_window: MakeWindow) -> None:
    series = _usual(width=15)
    series["cpu"][:, -1] = series["threads"][:, -1] = 1000.0
    assert _score(make_window(step=15.0, **series))[0] == 0


def test_a_fresh_replica_is_judged_by_the_past_of_its_workload(make_window: MakeWindow) -> None:
    anomalies = Anomalies(300.0)
    anomalies.assess(make_window(step=15.0, lives=[1], workloads=[5], **_usual()), np.zeros(1))
    series = _usual(width=4)
    same = make_window(step=15.0, lives=[2], workloads=[5], **series)
    assert anomalies.assess(same, np.zeros(1)).score[0] < 0.3
    other = {name: 30 * values for name, values in series.items()}
    strange = make_window(step=15.0, lives=[3], workloads=[5], **other)
    assert anomalies.assess(strange, np.zeros(1)).score[0] >= 0.8
    unrelated = make_window(step=15.0, lives=[4], workloads=[6], **other)
    assert anomalies.assess(unrelated, np.zeros(1)).score[0] == 0


@pytest.mark.parametrize("monthly", [1.0, 4.0])
def test_evidence_at_random_comes_twice_within_five_minutes_as_often_as_allowed(monthly: float) -> None:
    months, chance = 400, np.random.default_rng(2)
    share = evidence_rate(monthly, CYCLE) * CYCLE / MONTH
    at = np.flatnonzero(chance.random(int(months * MONTH / CYCLE)) < share) * CYCLE
    assert (np.diff(at) <= TOGETHER).sum() / months == pytest.approx(monthly, rel=0.2)


def test_a_cycle_is_as_improbable_whatever_its_length() -> None:
    assert evidence_rate(1.0, 2.0) * 2.0 == pytest.approx(evidence_rate(1.0, CYCLE) * CYCLE)
