from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from exporter.assess.assessor import Assessor
from exporter.assess.scores import Scores
from exporter.history.windows import Window
from exporter.sections import AssessConfig

MakeWindow = Callable[..., Window]
USUAL = {"read": 400.0, "write": 300.0, "epoll_wait": 200.0, "futex": 50.0}
STEP = 15.0


class Watch:
    """Feeds one assessor a cycle after another."""

    def __init__(self, make_window: MakeWindow, learn: float = 300.0) -> None:
        self._make, self._learn = make_window, learn
        self.assessor = Assessor(AssessConfig(learn=learn))
        self.end = 1_800_000_000.0
        self._names: dict[str, None] = {}

    def cycle(self, rows: list[dict[str, float]], **given: object) -> Scores:
        self.end += STEP
        for row in rows:
            self._names.update(dict.fromkeys(row))
        calls = {name: [row.get(name, 0.0) for row in rows] for name in self._names}
        return self.assessor.assess(self._make(step=STEP, end=self.end, calls=calls, **given))

    def learn(self, rows: list[dict[str, float]], **given: object) -> Scores:
        for _ in range(int(self._learn / STEP)):
            scores = self.cycle(rows, **given)
        return self.cycle(rows, **given) if self._learn else scores


@pytest.fixture
def watch(make_window: MakeWindow) -> Watch:
    return Watch(make_window)


@pytest.mark.parametrize("call", ["ptrace", "mount", "setns", "unshare", "init_module", "bpf", "kexec_load"])
def test_a_dangerous_call_never_made_before_is_an_alarm_at_its_first_sight(watch: Watch, call: str) -> None:
    assert watch.learn([USUAL]).security_risk[0] == 0
    scores = watch.cycle([{**USUAL, call: 0.1}])
    assert scores.security_risk[0] >= 0.8
    assert scores.reasons[0][0].startswith(f"calls {call}, never seen in ")


def test_nothing_is_an_alarm_while_the_profile_is_unfinished(watch: Watch) -> None:
    scores = watch.cycle([{**USUAL, "ptrace": 5.0}])
    assert scores.security_risk[0] == 0
    assert not scores.profile_finished[0]


def test_the_profile_says_when_it_is_finished(watch: Watch) -> None:
    finished = [bool(watch.cycle([USUAL]).profile_finished[0]) for _ in range(25)]
    assert finished == [False] * 20 + [True] * 5


def test_a_call_seen_while_learning_is_no_risk(watch: Watch) -> None:
    watch.learn([{**USUAL, "ptrace": 1.0}])
    assert watch.cycle([{**USUAL, "ptrace": 50.0}]).security_risk[0] == 0


def test_noise_of_threads_and_memory_is_no_risk(watch: Watch) -> None:
    watch.learn([USUAL])
    noise = {"madvise": 5.0, "exit": 1.0, "rt_sigprocmask": 9.0, "sched_yield": 3.0, "munmap": 1.0}
    assert watch.cycle([{**USUAL, **noise}]).security_risk[0] == 0


def test_many_new_but_ordinary_calls_are_no_alarm(watch: Watch) -> None:
    watch.learn([USUAL])
    release = {f"new_call_{number}": 1.0 for number in range(30)}
    assert 0 < watch.cycle([{**USUAL, **release}]).security_risk[0] < 0.6


def test_a_shell_that_appears_in_a_service_is_an_alarm(watch: Watch) -> None:
    watch.learn([USUAL])
    shell = {"execve": 0.2, "dup2": 0.4, "fork": 0.2, "socket": 0.1, "connect": 0.1}
    assert watch.cycle([{**USUAL, **shell}]).security_risk[0] >= 0.8


def test_evidence_holds_for_minutes_and_then_fades(watch: Watch) -> None:
    watch.learn([USUAL])
    watch.cycle([{**USUAL, "ptrace": 0.1}])
    after = [float(watch.cycle([USUAL]).security_risk[0]) for _ in range(45)]
    assert min(after[:12]) >= 0.8
    assert 0 < after[25] < 0.8
    assert after[-1] == 0


def test_a_new_replica_is_judged_by_what_its_siblings_did(watch: Watch) -> None:
    watch.learn([USUAL], lives=[1], workloads=[7])
    scores = watch.cycle([USUAL, {**USUAL, "ptrace": 1.0}], lives=[1, 2], workloads=[7, 7])
    assert scores.profile_finished.all()
    assert scores.security_risk[0] == 0
    assert scores.security_risk[1] >= 0.8


def test_evidence_stays_with_its_container_when_rows_move(watch: Watch) -> None:
    watch.learn([USUAL, USUAL], lives=[1, 2], workloads=[7, 8])
    watch.cycle([USUAL, {**USUAL, "ptrace": 1.0}], lives=[1, 2], workloads=[7, 8])
    scores = watch.cycle([USUAL, USUAL, USUAL], lives=[2, 3, 1], workloads=[8, 9, 7])
    assert (scores.security_risk >= 0.8).tolist() == [True, False, False]


def test_calls_of_the_runtime_that_starts_a_container_neither_teach_nor_accuse(watch: Watch) -> None:
    watch.learn([USUAL], lives=[1], workloads=[7])
    start = {**USUAL, "mount": 9.0, "pivot_root": 1.0, "execve": 2.0}
    born = np.array([watch.end])
    assert watch.cycle([start], lives=[2], workloads=[7], started=born).security_risk[0] == 0
    for _ in range(6):
        watch.cycle([USUAL], lives=[2], workloads=[7], started=born)
    assert watch.cycle([start], lives=[2], workloads=[7], started=born).security_risk[0] >= 0.8


def test_an_ordinary_call_is_taken_up_in_time_and_a_dangerous_one_never(watch: Watch) -> None:
    watch.learn([USUAL])
    for _ in range(70):
        scores = watch.cycle([{**USUAL, "io_pgetevents": 5.0, "ptrace": 1.0}])
    assert scores.security_risk[0] >= 0.8
    assert any(text.startswith("calls ptrace, never seen in ") for text in scores.reasons[0])


def test_a_container_unseen_by_the_probe_has_no_risk_and_learns_nothing(watch: Watch) -> None:
    for _ in range(40):
        scores = watch.cycle([dict.fromkeys(USUAL, np.nan)])
    assert scores.security_risk[0] == 0
    assert not scores.profile_finished[0]


def test_a_cycle_told_twice_teaches_once(make_window: MakeWindow) -> None:
    assessor = Assessor(AssessConfig(learn=300.0))
    window = make_window(step=STEP, calls={"read": [1.0]})
    for _ in range(40):
        scores = assessor.assess(window)
    assert not scores.profile_finished[0]
    later = replace(window, end=window.end + 3600)
    assert not assessor.assess(later).profile_finished[0]


def test_an_ordinary_new_call_pages_only_in_a_profile_long_without_news(make_window: MakeWindow) -> None:
    young, old = Watch(make_window, learn=300.0), Watch(make_window, learn=300.0)
    young.learn([USUAL])
    for _ in range(1200):
        old.cycle([USUAL])
    assert young.cycle([{**USUAL, "getcwd": 1.0}]).security_risk[0] < 0.8
    assert old.cycle([{**USUAL, "getcwd": 1.0}]).security_risk[0] > 0.8


def test_the_calls_of_a_threads_birth_are_no_news(make_window: MakeWindow) -> None:
    old = Watch(make_window, learn=300.0)
    for _ in range(1200):
        old.cycle([USUAL])
    born = {"set_robust_list": 1.0, "gettid": 1.0, "prctl": 1.0, "madvise": 2.0}
    assert old.cycle([{**USUAL, **born}]).security_risk[0] == 0


def test_workers_that_give_up_their_rights_after_a_reload_are_no_alarm(watch: Watch) -> None:
    watch.learn([{**USUAL, "clone": 0.1}])
    names = ("setuid", "setgid", "setgroups", "prctl", "socketpair", "sendmsg", "kill", "wait4")
    workers = dict.fromkeys(names, 0.1)
    assert watch.cycle([{**USUAL, "clone": 0.1, **workers}]).security_risk[0] < 0.8


def test_a_first_connection_with_all_that_comes_with_it_is_no_alarm_in_a_young_profile(watch: Watch) -> None:
    watch.learn([USUAL])
    calls = dict.fromkeys(("socket", "connect", "getsockname", "getpeername", "setsockopt", "sendto", "recvfrom"), 0.1)
    assert watch.cycle([{**USUAL, **calls}]).security_risk[0] < 0.8
