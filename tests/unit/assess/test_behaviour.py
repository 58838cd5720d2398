from collections.abc import Callable

import numpy as np
import pytest

from exporter.assess.behaviour import Behaviour, Conduct
from exporter.assess.habits import MOST_PAIRS, MOST_STEPS, Habit
from exporter.assess.tail import fit_tail
from exporter.history.windows import NO_PAIRS, Window

MakeWindow = Callable[..., Window]
USUAL = {"read": 400.0, "write": 300.0, "epoll_ctl": 40.0, "fsync": 2.0}
STEP = 15.0


class Service:
    """A service that calls the kernel about as often each step, watched by a Behaviour."""

    def __init__(self, make_window: MakeWindow, monthly: float = 90.0) -> None:
        self._make = make_window
        self._noise = np.random.default_rng(3)
        self._end = 1_800_000_000.0
        self.behaviour = Behaviour(3000.0, monthly)

    def steps(self, rates: dict[str, float], count: int) -> list[Conduct]:
        return [self.step(rates) for _ in range(count)]

    def step(self, rates: dict[str, float]) -> Conduct:
        self._end += STEP
        load = self._noise.gamma(10, 0.1)
        names = dict.fromkeys([*USUAL, *rates])
        calls = {name: [self._noise.poisson(load * rates.get(name, 0.0) * STEP) / STEP] for name in names}
        window = self._make(step=STEP, end=self._end, calls=calls)
        return self.behaviour.observe(window, STEP, np.ones(len(names), dtype=np.bool_))


@pytest.fixture
def service(make_window: MakeWindow) -> Service:
    return Service(make_window)


def _departures(seen: list[Conduct]) -> np.ndarray:
    return np.array([float(each.departure[0]) for each in seen])


def test_an_unfinished_profile_never_departs(service: Service) -> None:
    assert _departures(service.steps(USUAL, 100)).max() == 0
    assert service.step({**USUAL, "fsync": 900.0}).departure[0] == 0 or service.step(USUAL).finished[0]


def test_what_goes_on_as_learned_departs_as_seldom_as_allowed(service: Service) -> None:
    service.steps(USUAL, 210)
    assert (_departures(service.steps(USUAL, 600)) > 0.8).mean() < 0.01


@pytest.mark.parametrize(
    "strange", [{**USUAL, "fsync": 200.0}, {**USUAL, "read": 30.0}, {**USUAL, "getdents64": 3.0}, {"read": 740.0}]
)
def test_calls_that_no_longer_go_together_depart(service: Service, strange: dict[str, float]) -> None:
    service.steps(USUAL, 210)
    assert service.step(strange).departure[0] > 0.8


def test_five_times_the_load_is_no_other_behaviour(service: Service) -> None:
    service.steps(USUAL, 210)
    busy = _departures(service.steps({name: 5 * rate for name, rate in USUAL.items()}, 40))
    assert np.median(busy) < 0.8


def test_the_call_that_is_most_off_is_told(service: Service) -> None:
    service.steps(USUAL, 210)
    off = service.step({**USUAL, "fsync": 300.0}).off[0]
    assert int(np.abs(off).argmax()) == list(USUAL).index("fsync")
    assert off[list(USUAL).index("fsync")] > 3


def test_an_attack_is_not_learned(service: Service) -> None:
    service.steps(USUAL, 210)
    assert _departures(service.steps({**USUAL, "fsync": 300.0}, 300)).min() > 0.8


def test_a_slow_change_is_learned(service: Service) -> None:
    service.steps(USUAL, 210)
    drift = np.concatenate(
        [_departures(service.steps({**USUAL, "fsync": 2.0 * 1.5**part}, 400)) for part in range(1, 6)]
    )
    assert (drift[-400:] > 0.8).mean() < 0.02


def test_what_was_learned_comes_back_after_a_restart(service: Service, make_window: MakeWindow) -> None:
    service.steps(USUAL, 210)
    saved = {name: array.copy() for name, array in service.behaviour.export().items()}
    again = Service(make_window)
    again.behaviour.restore(saved)
    assert again.step(USUAL).departure[0] < 0.8
    assert again.step({**USUAL, "fsync": 200.0}).departure[0] > 0.8


def test_the_sample_of_a_workload_is_bounded_and_keeps_the_past() -> None:
    habit = Habit()
    for number in range(3 * MOST_STEPS):
        habit.learn(np.array([float(number % 7), 1.0]), NO_PAIRS.codes, MOST_STEPS, MOST_PAIRS)
    assert habit.steps.shape == (MOST_STEPS, 2)
    assert habit.seen == 3 * MOST_STEPS


def test_a_workload_of_two_steps_takes_little_room() -> None:
    habit = Habit()
    for _ in range(2):
        habit.learn(np.ones(40), NO_PAIRS.codes, MOST_STEPS, MOST_PAIRS)
    assert habit.steps.shape == (2, 40)
    assert habit.sample.nbytes < 500


def test_a_tail_keeps_the_rate_that_it_promises() -> None:
    noise = np.random.default_rng(1)
    tail = fit_tail(noise.exponential(2.0, 4000))
    beyond = (tail.surprisal(noise.exponential(2.0, 200_000)) > -np.log(0.001)).mean()
    assert 0.0005 < beyond < 0.002


def test_scores_that_are_all_alike_make_anything_higher_improbable() -> None:
    tail = fit_tail(np.full(100, 3.0))
    assert tail.surprisal(np.array([3.0]))[0] == 0
    assert tail.surprisal(np.array([4.0]))[0] > 100


def test_a_service_that_works_like_a_clock_does_not_depart(make_window: MakeWindow) -> None:
    behaviour, noise, departures = Behaviour(1800.0, 90.0), np.random.default_rng(1), []
    for number in range(300):
        took = STEP * (1 + 1e-4 * noise.standard_normal())
        calls = {name: [rate * STEP / took] for name, rate in USUAL.items()}
        window = make_window(step=STEP, end=1.8e9 + STEP * number, calls=calls)
        departures.append(behaviour.observe(window, STEP, np.ones(len(calls), np.bool_)).departure[0])
    assert np.mean(np.array(departures[125:]) > 0.8) < 0.05
