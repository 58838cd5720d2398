from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from exporter.assess.assessor import Assessor
from exporter.assess.customs import Customs
from exporter.assess.scores import Scores
from exporter.history.windows import Window
from exporter.sections import AssessConfig

MakeWindow = Callable[..., Window]
STEP, LEARN = 15.0, 300.0
CALLS = {"read": 200.0, "write": 200.0, "openat": 20.0, "renameat": 0.0, "epoll_wait": 100.0, "connect": 5.0}
PROTOCOLS = {"other": 0.0, "redis": 5.0, "https": 0.0}
CPU = 0.05


class Watch:
    """A service of a few cores' hundredths, a few hundred calls and one store."""

    def __init__(self, make_window: MakeWindow) -> None:
        self._make = make_window
        self.assessor = Assessor(AssessConfig(learn=LEARN), STEP)
        self.end = 1_800_000_000.0

    def cycle(self, cpu: float = CPU, load: float = 1.0, **changed: float) -> Scores:
        self.end += STEP
        calls = {name: [changed.get(name, load * rate)] for name, rate in CALLS.items()}
        spoken = {name: [changed.get(name, load * rate)] for name, rate in PROTOCOLS.items()}
        total = sum(rate for (rate,) in calls.values())
        series = {"cpu": np.full((1, 4), cpu), "syscalls": np.full((1, 4), total)}
        return self.assessor.assess(self._make(step=STEP, end=self.end, calls=calls, protocols=spoken, **series))

    def learn(self, cycles: int = 25) -> Scores:
        return [self.cycle() for _ in range(cycles)][-1]


@pytest.fixture
def watch(make_window: MakeWindow) -> Watch:
    found = Watch(make_window)
    assert found.learn().profile_finished[0]
    return found


def test_hard_work_and_a_new_destination_together_are_an_alarm_and_neither_alone(watch: Watch) -> None:
    assert 0.4 < watch.cycle(other=0.1).security_risk[0] < 0.8
    scores = watch.cycle(cpu=1.0)
    assert scores.security_risk[0] > 0.8
    assert "connects to other, never seen in " in scores.reasons[0][0]
    assert "computes 20 times as much as ever" in scores.reasons[0][0]


def test_hard_work_alone_is_no_alarm(watch: Watch) -> None:
    assert 0.4 < watch.cycle(cpu=1.0).security_risk[0] < 0.8


def test_a_load_five_times_higher_is_no_risk_at_all(watch: Watch) -> None:
    assert watch.cycle(cpu=5 * CPU, load=5.0).security_risk[0] == 0


def test_rewriting_file_after_file_is_an_alarm(watch: Watch) -> None:
    scores = watch.cycle(openat=400.0, renameat=200.0, read=600.0, write=400.0)
    assert scores.security_risk[0] > 0.8
    assert any("times as many files as ever" in reason for reason in scores.reasons[0])


def test_reading_many_files_and_renaming_one_now_and_then_are_not(watch: Watch) -> None:
    assert watch.cycle(openat=900.0, read=1800.0).security_risk[0] == 0
    assert watch.cycle(renameat=0.2).security_risk[0] < 0.2


def test_what_was_done_while_learning_is_usual(make_window: MakeWindow) -> None:
    watch = Watch(make_window)
    for _ in range(25):
        watch.cycle(cpu=1.0, other=1.0, openat=400.0, renameat=200.0)
    assert watch.cycle(cpu=1.2, other=3.0, openat=500.0, renameat=300.0).security_risk[0] == 0


def test_a_destination_that_is_used_for_as_long_as_learning_takes_is_taken_up(watch: Watch) -> None:
    risks = [float(watch.cycle(https=1.0).security_risk[0]) for _ in range(70)]
    assert risks[0] == pytest.approx(0.5)
    assert risks[-1] == 0


def test_the_causes_name_call_destination_and_excess_by_a_word(watch: Watch) -> None:
    found = [cause for cause in watch.cycle(cpu=1.0, other=0.1).causes[0] if cause.score == "security_risk"]
    assert {cause.name for cause in found} == {"computing", "connections: other"}
    assert found[0].strength >= found[1].strength > 0


def test_a_container_in_its_start_or_unseen_by_the_probe_breaks_no_customs(make_window: MakeWindow) -> None:
    customs = Customs(LEARN)
    series: dict[str, Any] = {"cpu": np.full((1, 4), CPU), "syscalls": np.full((1, 4), 100.0)}
    usual = {"calls": {"read": [100.0]}, "protocols": {"redis": [1.0], "other": [0.0]}}
    for cycle in range(25):
        customs.observe(make_window(step=STEP, end=1e9 + STEP * cycle, **series, **usual), STEP)
    series["cpu"] = np.full((1, 4), 2.0)
    strange = {"calls": {"read": [100.0]}, "protocols": {"redis": [1.0], "other": [1.0]}}
    young = customs.observe(make_window(step=STEP, end=2e9, age=30.0, **series, **strange), STEP)
    dark = {"calls": {"read": [np.nan]}, "protocols": {"redis": [np.nan], "other": [np.nan]}}
    unseen = customs.observe(make_window(step=STEP, end=2e9, **series, **dark), STEP)
    late = customs.observe(make_window(step=STEP, end=2e9, **series, **strange), STEP)
    assert not young.destinations.any()
    assert young.excess.max() == 0
    assert not unseen.destinations.any()
    assert late.destinations.any()
    assert late.excess.max() == 1


def test_customs_survive_a_restart(watch: Watch, make_window: MakeWindow) -> None:
    again = Watch(make_window)
    saved = {name: array.copy() for name, array in watch.assessor.export().items()}
    again.assessor.restore(saved)
    again.end = watch.end
    assert again.cycle(cpu=1.0, other=0.1).security_risk[0] > 0.8


def test_a_clock_that_jumps_neither_teaches_nor_forgets_an_attack(watch: Watch) -> None:
    assert watch.cycle(cpu=1.0, other=0.1).security_risk[0] > 0.8
    watch.end -= 7200
    assert watch.cycle().security_risk[0] > 0.8
    assert watch.cycle(other=0.1).security_risk[0] > 0.8


def test_a_thousand_containers_that_are_replaced_each_cycle_stay_bounded(make_window: MakeWindow) -> None:
    customs = Customs(LEARN)
    for cycle in range(6):
        lives = np.arange(1000) + 1000 * cycle
        window = make_window(
            step=STEP,
            end=1e9 + STEP * cycle,
            cpu=np.full((1000, 4), CPU),
            calls={"read": [1.0] * 1000},
            protocols={"redis": [1.0] * 1000},
            lives=lives,
            workloads=lives,
        )
        customs.observe(window, STEP)
    assert max(len(array) for array in customs.export().values()) <= 4096
