from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog

from exporter.config import Config
from exporter.cycle import Cycle, Readings
from exporter.history.signals import RESOURCES
from exporter.persist.arrays import spelled
from exporter.persist.keeper import DAMAGED, FILE
from exporter.sources.exposition import Samples
from exporter.state import State

STEP = 30
TRUST_AFTER = 20 * STEP
Node = Callable[..., Readings]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    forecast = {"step": STEP, "horizons": [STEP, 3 * STEP], "arima": False, "min_history": TRUST_AFTER}
    history = {"window": 300, "forecast_window": 3600}
    return Config(
        node="n1", forecast=forecast, history=history, state={"directory": tmp_path / "state", "interval": "1h"}
    )


@pytest.fixture
def node(cadvisor: Callable[..., Samples], probe: Callable[..., Samples]) -> Node:
    """Return (at, names) → what the sources say then; CPU swings, memory stands, calls grow with time."""

    def readings(at: float, names: tuple[str, ...] = ("web", "db"), kills: float = 3.0) -> Readings:
        seen = {
            "container_cpu_usage_seconds_total": {"cpu00": 0.5 * at + 30 * np.sin(at / 100)},
            "container_memory_working_set_bytes": 2.0**27,
            "container_start_time_seconds": 1_700_000_000,
            "container_oom_events_total": kills,
            "container_spec_memory_limit_bytes": 2.0**28,
        }
        calls = {"container_syscalls_total": {"read": 40.0 * at, "write": 20.0 * at}}
        return Readings(cadvisor(at, dict.fromkeys(names, seen)), probe(at, dict.fromkeys(names, calls)))

    return readings


def _live(cycle: Cycle, node: Node, begin: float, seconds: float, *names: str) -> State:
    for at in np.arange(begin, begin + seconds, 15).tolist():
        state = cycle.run(node(at, names or ("web", "db")), (), at)
    return state


@pytest.fixture
def learned(config: Config, node: Node, start: float) -> Cycle:
    """A cycle with half an hour behind it, one container and one workload of which are gone; it is saved."""
    cycle = Cycle(config)
    _live(cycle, node, start, 900, "web", "db", "old")
    _live(cycle, node, start + 900, 900)
    cycle.close()
    return cycle


def _resumed(config: Config, at: float) -> Cycle:
    cycle = Cycle(config)
    assert cycle.resume(at) is not None
    return cycle


def test_all_that_is_saved_comes_back_as_it_was(config: Config, learned: Cycle, start: float) -> None:
    before = {name: np.array(array) for name, array in learned._export().items()}
    again = _resumed(config, start + 1785)._export()
    assert set(again) == set(before)
    aged = {"history/fine", "history/cycle"}
    for name in set(before) - aged:
        np.testing.assert_array_equal(again[name], before[name], err_msg=name)
    assert len(before["forecast/lineage/gone"]) == 1
    assert before["assess/behaviour/table/known"].any()


def test_a_cycle_that_was_resumed_says_what_the_one_that_went_on_says(
    config: Config, learned: Cycle, node: Node, start: float
) -> None:
    resumed = _resumed(config, start + 1785)
    first = resumed.run(node(start + 1800), (), start + 1800)
    assert first.trusted[:, RESOURCES.index("memory")].all()
    assert np.isfinite(first.quantiles[:, [0, 1]]).all()
    here, there = (_live(cycle, node, start + 1800 + 15, 600) for cycle in (learned, resumed))
    assert here.forecast is not None
    assert there.forecast is not None
    np.testing.assert_array_equal(there.forecast.lives, here.forecast.lives)
    np.testing.assert_array_equal(there.forecast.trusted, here.forecast.trusted)
    # The first cycle after a restart has no rates yet: one column differs, as the highest quantile of few errors shows.
    np.testing.assert_allclose(there.quantiles[..., :-1], here.quantiles[..., :-1], rtol=0.02)
    np.testing.assert_allclose(there.quantiles[..., -1], here.quantiles[..., -1], rtol=0.05)
    np.testing.assert_array_equal(there.scores.profile_finished, here.scores.profile_finished)


def test_nothing_is_trusted_when_all_is_learned_anew(config: Config, learned: Cycle, node: Node, start: float) -> None:
    fresh = Cycle(config).run(node(start + 1800), (), start + 1800)
    assert not fresh.trusted.any()
    assert np.isnan(fresh.quantiles).all()


def test_a_container_that_is_gone_is_dropped_and_its_workload_teaches_the_next_one(
    config: Config, learned: Cycle, node: Node, start: float
) -> None:
    resumed = _resumed(config, start + 1785)
    names = ("web", "old#2")
    state = _live(resumed, node, start + 1800, 120, *names)
    assert [who.container for who in state.snapshot.identities] == ["web", "old"]
    experience = resumed._export()["forecast/engine/state/filled"]
    heir = len(experience) - 1
    assert experience[heir].any()


@pytest.mark.parametrize(("kills", "seen"), [(3.0, False), (4.0, True)])
def test_a_kill_for_want_of_memory_during_the_absence_is_seen(
    config: Config, learned: Cycle, node: Node, start: float, kills: float, seen: bool
) -> None:
    resumed = _resumed(config, start + 1785)
    for at in (start + 1800, start + 1815, start + 1830):
        resumed.run(node(at, kills=kills), (), at)
    demand = resumed._export()["history/values"][1:, RESOURCES.index("memory"), -2:]
    assert (demand > 1.1 * 2**28).any() == seen


def test_the_past_moves_back_by_the_absence(config: Config, learned: Cycle, start: float) -> None:
    before = np.array(learned._export()["history/values"])
    absence = 10
    after = _resumed(config, start + 1785 + absence * STEP)._export()["history/values"]
    np.testing.assert_array_equal(after[:, :, -absence - 20 : -absence - 1], before[:, :, -20:-1])
    assert np.isnan(after[:, :, -absence + 1 :]).all()


def test_a_long_absence_leaves_the_experience_and_no_past(
    config: Config, learned: Cycle, node: Node, start: float
) -> None:
    later = start + 40 * 86400
    resumed = _resumed(config, later)
    state = resumed.run(node(later), (), later)
    assert state.forecast is not None
    _live(resumed, node, later + 15, 300)
    assert resumed._export()["forecast/engine/state/filled"][1:3].any(axis=(1, 2)).all()


def test_who_is_not_listed_is_waited_for_while_the_source_is_silent(
    config: Config, learned: Cycle, node: Node, start: float
) -> None:
    later = start + 3600
    resumed = _resumed(config, later)
    for seconds in range(0, 300, 15):
        resumed.run(Readings(None, None), (), later + seconds)
    assert len(resumed.history.registry) == 3
    resumed.run(node(later + 300), (), later + 300)
    assert len(resumed.history.registry) == 3
    gone = _resumed(config, later)
    for seconds in range(0, 375, 15):
        gone.run(Readings(None, None), (), later + seconds)
    assert len(gone.history.registry) == 1


def test_what_fits_piece_by_piece_and_not_together_is_set_aside(
    config: Config, learned: Cycle, start: float, node: Node
) -> None:
    doubled = learned._export()
    doubled |= spelled("history/registry/key", ["/", "same", "same"])
    learned._keeper.close(lambda: doubled, start)
    fresh = Cycle(config)
    with structlog.testing.capture_logs() as logs:
        assert fresh.resume(start + 1785) is None
    assert [entry["event"] for entry in logs] == ["state set aside; everything is learned anew"]
    assert len(fresh.history.registry) == 1
    assert not _live(fresh, node, start + 1800, 60).trusted.any()


def test_a_memory_that_breaks_the_first_turn_is_set_aside_and_the_next_turn_works(
    config: Config, learned: Cycle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: float, node: Node
) -> None:
    resumed = _resumed(config, start + 1785)

    def fail(*_: Any) -> None:
        raise IndexError("out of bounds")

    monkeypatch.setattr(resumed._forecaster, "observe", fail)
    with structlog.testing.capture_logs() as logs, pytest.raises(IndexError):
        resumed.run(node(start + 1800), (), start + 1800)
    assert [entry["event"] for entry in logs] == ["state set aside; everything is learned anew"]
    assert sorted(path.name for path in (tmp_path / "state").iterdir()) == [DAMAGED]
    assert len(resumed.run(node(start + 1815), (), start + 1815).snapshot.lives) == 2


def test_the_training_child_ends_with_the_memory_that_is_given_up(
    config: Config, learned: Cycle, monkeypatch: pytest.MonkeyPatch, start: float, node: Node
) -> None:
    resumed, closed = _resumed(config, start + 1785), []
    monkeypatch.setattr(resumed._forecaster, "close", lambda: closed.append("first"))
    monkeypatch.setattr(resumed._forecaster, "observe", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        resumed.run(node(start + 1800), (), start + 1800)
    assert closed == ["first"]


def test_a_clock_that_is_put_right_brings_back_what_was_learned(
    config: Config, learned: Cycle, start: float, node: Node
) -> None:
    late, boot = Cycle(config), start - 86400
    assert late.resume(boot) is None
    assert not _live(late, node, boot, 60).trusted.any()
    late.close()
    state = late.run(node(start + 1800), (), start + 1800)
    assert state.trusted[:, RESOURCES.index("memory")].all()


def test_a_container_with_a_very_long_label_does_not_inflate_the_file(
    config: Config, tmp_path: Path, start: float, node: Node
) -> None:
    sizes = []
    for name in ("db", "d" * 100_000):
        cycle = Cycle(config)
        _live(cycle, node, start, 60, "web", name)
        cycle.close()
        sizes.append((tmp_path / "state" / FILE).stat().st_size)
    assert sizes[1] < sizes[0] + 10_000


def test_a_later_turn_that_fails_leaves_the_memory(
    config: Config, learned: Cycle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: float, node: Node
) -> None:
    resumed = _resumed(config, start + 1785)
    resumed.run(node(start + 1800), (), start + 1800)
    monkeypatch.setattr(resumed.publisher, "publish", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        resumed.run(node(start + 1815), (), start + 1815)
    assert sorted(path.name for path in (tmp_path / "state").iterdir()) == [FILE]


def test_an_exporter_that_never_turned_leaves_what_was_saved(
    config: Config, learned: Cycle, tmp_path: Path, start: float
) -> None:
    before = (tmp_path / "state" / FILE).read_bytes()
    Cycle(config).close()
    _resumed(config, start + 1785).close()
    assert (tmp_path / "state" / FILE).read_bytes() == before
