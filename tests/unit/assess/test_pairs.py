from collections.abc import Callable, Iterable

import numpy as np
import pytest

from exporter.assess.assessor import Assessor
from exporter.assess.behaviour import Behaviour
from exporter.assess.pairs import MOST_OF_ONE, NewPairs, PairProfiles
from exporter.assess.scores import Scores
from exporter.history.pairs import CALLS
from exporter.history.windows import Pairs, Window
from exporter.persist.arrays import MismatchError
from exporter.sections import AlarmsConfig, AssessConfig

MakeWindow = Callable[..., Window]
NAMES = tuple(f"call_{number}" for number in range(30))
USUAL = [(number, number + 1) for number in range(12)]
ODD = [(number + 2, number) for number in range(20)]
READING, LEARN = 60.0, 1800.0
Calls = Iterable[tuple[int, int]]


def _pairs(made: list[Calls], seconds: float = READING) -> Pairs:
    rows = [row for row, calls in enumerate(made) for _ in calls]
    codes = [one * CALLS + two for calls in made for one, two in calls]
    counts = 16.0 * np.arange(len(codes), 0, -1)
    return Pairs(np.array(rows, np.int64), np.array(codes, np.int64), counts, seconds)


class Watch:
    """Readings of pairs, a minute apart, of containers that make each call about as often all the time."""

    def __init__(self, make_window: MakeWindow) -> None:
        self._make = make_window
        self._noise = np.random.default_rng(3)
        self.end = 1_800_000_000.0
        self.behaviour, self.pairs = Behaviour(LEARN, 93.0), PairProfiles(LEARN, 93.0)

    def window(self, *made: Calls, seconds: float = READING, **given: object) -> Window:
        self.end += READING
        calls = {name: self._noise.poisson(75.0, len(made)) / 15.0 for name in NAMES}
        pairs = _pairs([list(each) for each in made], seconds)
        return self._make(step=15.0, end=self.end, age=1e6, calls=calls, pairs=pairs, **given)

    def read(self, *made: Calls, seconds: float = READING, **given: object) -> NewPairs:
        window = self.window(*made, seconds=seconds, **given)
        return self.pairs.observe(window, self.behaviour.observe(window, 15.0, np.ones(len(NAMES), np.bool_)))

    def learn(self, hours: float, *made: Calls, **given: object) -> NewPairs:
        for _ in range(round(hours * 60)):
            told = self.read(*(made or (USUAL,)), **given)
        return told


@pytest.fixture
def watch(make_window: MakeWindow) -> Watch:
    return Watch(make_window)


def test_many_pairs_never_made_in_hours_alarm_and_what_goes_on_does_not(watch: Watch) -> None:
    assert watch.learn(8).score[0] == 0
    told = watch.read([*USUAL, *ODD])
    assert told.score[0] > 0.8
    assert told.named(0, NAMES)[0] == ("call_2", "call_0")
    assert len(told.codes) == len(ODD)


def test_one_new_pair_is_no_alarm_since_rare_ones_come_late(watch: Watch) -> None:
    watch.learn(8)
    assert 0 < watch.read([*USUAL, ODD[0]]).score[0] < 0.5


def test_an_unfinished_profile_never_alarms(watch: Watch) -> None:
    watch.learn(0.4)
    assert watch.read(ODD).score[0] == 0


def test_a_workload_that_often_makes_new_pairs_is_not_accused_of_some_more(watch: Watch) -> None:
    every = [(one, two) for one in range(30) for two in range(30)]
    for minute in range(480):
        watch.read([*USUAL, *every[minute % 880 : minute % 880 + 3]])
    assert watch.read([*USUAL, *[(two, one) for one, two in every[600:620]]]).score[0] < 0.2


def test_replicas_share_what_they_make_and_other_workloads_do_not(watch: Watch) -> None:
    watch.learn(8, USUAL, [*USUAL, *ODD], USUAL, workloads=[1, 1, 2])
    told = watch.read([*USUAL, *ODD], USUAL, [*USUAL, *ODD], workloads=[1, 1, 2])
    assert told.score[0] == 0
    assert told.score[2] > 0.8


def test_pairs_of_a_call_that_is_new_itself_are_told_by_that_call(watch: Watch, make_window: MakeWindow) -> None:
    watch.learn(8)
    window = watch.window(USUAL)
    calls = {name: np.full(1, 5.0) for name in (*NAMES, "ptrace")}
    made = _pairs([[*USUAL, *((number, 30) for number in range(30))]])
    odd = make_window(step=15.0, end=window.end, age=1e6, calls=calls, pairs=made)
    conduct = watch.behaviour.observe(odd, 15.0, np.append(np.ones(30, np.bool_), False))
    assert watch.pairs.observe(odd, conduct).score[0] == 0


def test_a_reading_counts_once_and_is_remembered_for_the_reasons(watch: Watch) -> None:
    watch.learn(8)
    told = watch.read([*USUAL, *ODD])
    later = watch.read([*USUAL, *ODD], seconds=0.0)
    assert later.score[0] == 0
    assert later.strength[0] == told.score[0]
    assert later.named(0, NAMES) == told.named(0, NAMES)


def test_the_same_new_pairs_are_evidence_once_but_stay_named(watch: Watch) -> None:
    watch.learn(8)
    assert watch.read([*USUAL, *ODD]).score[0] > 0.8
    again = watch.read([*USUAL, *ODD])
    assert again.score[0] == 0
    assert len(again.named(0, NAMES)) == len(ODD)


def test_what_lasts_for_the_learning_time_is_taken_up_and_what_is_shorter_is_not(watch: Watch) -> None:
    watch.learn(8)
    assert len(watch.learn(0.4, [*USUAL, *ODD]).codes) == len(ODD)
    assert len(watch.learn(0.3, [*USUAL, *ODD]).codes) == 0


def test_what_an_attacked_container_does_is_not_learned(watch: Watch) -> None:
    watch.learn(8)
    for _ in range(60):
        window = watch.window([*USUAL, *ODD])
        conduct = watch.behaviour.observe(window, 15.0, np.ones(len(NAMES), np.bool_))
        conduct.taught[:] = False
        told = watch.pairs.observe(window, conduct)
    assert len(told.codes) == len(ODD)


def test_a_workload_with_ten_thousand_pairs_is_bounded_and_quiet(watch: Watch) -> None:
    rng = np.random.default_rng(0)
    for _ in range(120):
        told = watch.read({(int(one), int(two)) for one, two in rng.integers(0, 30, (300, 2))})
    assert sum(array.nbytes for array in watch.pairs.export().values()) < 16 * MOST_OF_ONE + 4096
    assert told.score[0] < 0.1


def test_what_was_learned_is_saved_and_damage_is_told(watch: Watch) -> None:
    watch.learn(8)
    saved = {name: array.copy() for name, array in watch.pairs.export().items()}
    before = watch.pairs
    watch.pairs = PairProfiles(LEARN, 93.0)
    watch.pairs.restore(saved)
    window = watch.window([*USUAL, *ODD])
    conduct = watch.behaviour.observe(window, 15.0, np.ones(len(NAMES), np.bool_))
    assert watch.pairs.observe(window, conduct).score == before.observe(window, conduct).score
    with pytest.raises(MismatchError, match="no workload"):
        PairProfiles(LEARN, 93.0).restore({**saved, "keys": saved["keys"][::-1].copy()})


def _scores(watch: Watch, assessor: Assessor, made: Calls) -> Scores:
    return assessor.assess(watch.window(made, cpu=np.full((1, 30), 0.1)))


def test_an_alarm_names_the_pairs_and_since_when(watch: Watch) -> None:
    allowed = AlarmsConfig(anomaly=30)
    assessor = Assessor(AssessConfig(learn=LEARN, alarms_per_container_month=allowed))
    for _ in range(130):
        quiet = _scores(watch, assessor, USUAL)
    assert quiet.reasons == ((),)
    scores = _scores(watch, assessor, [*USUAL, *ODD])
    assert scores.anomaly[0] > 0.8
    assert scores.reasons[0][0].startswith("20 pairs of calls never seen in 2.2 h of its profile (call_2 then call_0, ")
    assert ", since " in scores.reasons[0][0]
    assert [cause.name for cause in scores.causes[0]] == [f"pair: call_{n + 2}, call_{n}" for n in range(3)]
