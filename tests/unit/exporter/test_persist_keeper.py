import json
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog

from exporter.persist.arrays import Arrays, MismatchError
from exporter.persist.keeper import DAMAGED, FILE, FORMAT, Keeper
from exporter.sections import StateConfig

NOW = 1_800_000_000.0
MADE_WITH = {"step": 60.0, "horizons": (300.0, 900.0)}


class Part:
    """Something that learns one number."""

    def __init__(self, value: float = 0.0) -> None:
        self.array = np.array([value])

    def export(self) -> Arrays:
        return {"value": self.array}

    def restore(self, arrays: Arrays, at: float) -> None:
        if "value" not in arrays:
            raise MismatchError("value is missing")
        self.array = arrays["value"]


@pytest.fixture
def keeper(tmp_path: Path) -> Callable[..., Keeper]:
    def make(interval: float = 300.0, made_with: dict[str, Any] | None = None) -> Keeper:
        return Keeper(StateConfig(directory=tmp_path / "state", interval=interval), made_with or MADE_WITH)

    return make


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / FILE


def _finish(keeper: Keeper) -> None:
    if keeper._writer is not None:
        keeper._writer.join(10)


def test_what_was_saved_is_handed_on_with_its_time(keeper: Callable[..., Keeper]) -> None:
    keeper().close(Part(7.0).export, NOW)
    part = Part()
    assert keeper().load(part.restore, NOW + 5) == NOW
    assert part.array.tolist() == [7.0]


def test_without_a_file_there_is_nothing_to_say(keeper: Callable[..., Keeper], file: Path) -> None:
    with structlog.testing.capture_logs() as logs:
        assert keeper().load(Part().restore, NOW) is None
    assert logs == []
    assert file.parent.is_dir()


def test_without_a_directory_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    idle = Keeper(StateConfig(), MADE_WITH)
    assert idle.load(Part().restore, NOW) is None
    idle.offer(Part().export, NOW + 1e6)
    idle.reject("anything")
    idle.close(Part().export, NOW)
    assert list(tmp_path.iterdir()) == []


def test_it_is_saved_once_an_interval_and_not_before(keeper: Callable[..., Keeper], file: Path) -> None:
    kept = keeper(300.0)
    for seconds, expected in ((0, False), (299, False), (300, True)):
        kept.offer(Part().export, NOW + seconds)
        _finish(kept)
        assert file.exists() == expected
    file.unlink()
    kept.offer(Part().export, NOW + 301)
    _finish(kept)
    assert not file.exists()


def test_a_clock_that_was_set_back_does_not_end_the_saving(keeper: Callable[..., Keeper], file: Path) -> None:
    kept = keeper(300.0)
    kept.offer(Part().export, NOW)
    kept.offer(Part().export, NOW - 86400)
    _finish(kept)
    assert file.exists()


def test_a_turn_that_begins_meanwhile_ends_the_copy_and_the_old_file_stays(
    keeper: Callable[..., Keeper], file: Path
) -> None:
    kept = keeper(1.0)
    kept.close(Part(1.0).export, NOW)
    before = file.read_bytes()
    kept.offer(Part().export, NOW)
    with structlog.testing.capture_logs() as logs:
        with kept.turn():
            kept.offer(Part(2.0).export, NOW + 2)
            kept._turns += 1
        _finish(kept)
    assert file.read_bytes() == before
    assert [entry["event"] for entry in logs] == ["state not saved; trying again"]
    assert list(file.parent.iterdir()) == [file]


def test_a_turn_waits_at_most_for_one_piece(keeper: Callable[..., Keeper]) -> None:
    kept, waits = keeper(1.0), []
    large = {"large": np.zeros((80, 50_000))}
    kept.offer(lambda: large, NOW)
    kept.offer(lambda: large, NOW + 2)
    while kept._writer is not None and kept._writer.is_alive():
        begun = time.perf_counter()
        with kept.turn():
            waits.append(time.perf_counter() - begun)
            kept._turns -= 1
        time.sleep(0.002)
    assert waits
    assert max(waits) < 0.5


def test_a_directory_that_cannot_be_made_is_told_once_and_changes_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    kept = Keeper(StateConfig(directory=tmp_path / "taken", interval=1.0), MADE_WITH)
    with structlog.testing.capture_logs() as logs:
        assert kept.load(Part().restore, NOW) is None
        for seconds in (0, 2, 4):
            kept.offer(Part().export, NOW + seconds)
            _finish(kept)
        kept.close(Part().export, NOW + 6)
    assert [entry["event"] for entry in logs] == [
        "state cannot be read; learning anew",
        "state not saved; trying again",
    ]


def test_a_later_failure_is_told_again(keeper: Callable[..., Keeper], file: Path) -> None:
    kept = keeper()
    with structlog.testing.capture_logs() as logs:
        for taken in (True, False, True):
            if taken:
                file.mkdir(parents=True)
                (file / "something").touch()
            kept.close(Part().export, NOW)
            if taken:
                (file / "something").unlink()
                file.rmdir()
            else:
                file.unlink()
    assert [entry["event"] for entry in logs if entry["log_level"] == "warning"] == [
        "state not saved; trying again"
    ] * 2


def _about(file: Path, **changed: object) -> None:
    with zipfile.ZipFile(file) as old:
        members = {name: old.read(name) for name in old.namelist()}
    about = json.loads(members["about.json"]) | changed
    members["about.json"] = json.dumps(about).encode()
    with zipfile.ZipFile(file, "w") as new:
        for name, data in members.items():
            new.writestr(name, data)


@pytest.mark.parametrize(
    ("changed", "made_with", "reason"),
    [
        ({"format": FORMAT + 1}, MADE_WITH, "format"),
        ({"format": None}, MADE_WITH, "format"),
        ({"at": "yesterday"}, MADE_WITH, "when it was saved"),
        ({"at": float("nan")}, MADE_WITH, "when it was saved"),
        ({"at": float("inf")}, MADE_WITH, "when it was saved"),
        ({}, MADE_WITH | {"horizons": (300.0,)}, "horizons [300.0, 900.0], now it is [300.0]"),
        ({"made_with": None}, MADE_WITH, "made with"),
        ({"made_with": [1]}, MADE_WITH, "made with"),
    ],
    ids=["newer", "no format", "no time", "no number", "never", "other horizons", "no configuration", "a list"],
)
def test_a_file_of_another_making_is_set_aside_in_one_line(
    keeper: Callable[..., Keeper], file: Path, changed: dict[str, object], made_with: dict[str, Any], reason: str
) -> None:
    keeper().close(Part().export, NOW)
    _about(file, **changed)
    with structlog.testing.capture_logs() as logs:
        assert keeper(made_with=made_with).load(Part().restore, NOW) is None
    assert [entry["event"] for entry in logs] == ["state set aside; everything is learned anew"]
    assert logs[0]["file"] == str(file)
    assert reason in logs[0]["reason"]
    assert [path.name for path in file.parent.iterdir()] == [DAMAGED]


def test_a_file_from_later_than_now_stays_until_the_clock_is_right(keeper: Callable[..., Keeper], file: Path) -> None:
    keeper().close(Part(7.0).export, NOW)
    before, late, part = file.read_bytes(), keeper(1.0), Part()
    boot = NOW - 86400.0
    with structlog.testing.capture_logs() as logs:
        assert late.load(part.restore, boot) is None
        for seconds in (0, 600, 1200):
            assert not late.ripe(boot + seconds)
            late.offer(Part().export, boot + seconds)
        late.close(Part().export, boot + 1200)
    assert [entry["event"] for entry in logs] == ["state is from later than now; left until the clock is right"]
    assert [path.name for path in file.parent.iterdir()] == [FILE]
    assert file.read_bytes() == before
    assert late.ripe(NOW + 30)
    assert late.load(part.restore, NOW + 30) == NOW
    assert part.array.tolist() == [7.0]
    late.close(Part(8.0).export, NOW + 60)
    assert file.read_bytes() != before


def test_a_file_from_later_than_now_is_set_aside_where_the_clock_stays(
    keeper: Callable[..., Keeper], file: Path
) -> None:
    keeper().close(Part().export, NOW + 86400)
    late = keeper(1.0)
    assert late.load(Part().restore, NOW) is None
    with structlog.testing.capture_logs() as logs:
        assert not late.ripe(NOW + 3599)
        assert file.exists()
        assert not late.ripe(NOW + 3600)
    assert [entry["event"] for entry in logs] == ["state set aside; everything is learned anew"]
    assert [path.name for path in file.parent.iterdir()] == [DAMAGED]
    late.close(Part().export, NOW + 3700)
    assert file.exists()


def test_nothing_is_ripe_where_nothing_was_left(keeper: Callable[..., Keeper]) -> None:
    keeper().close(Part().export, NOW)
    kept = keeper()
    kept.load(Part().restore, NOW + 5)
    assert not kept.ripe(NOW + 1e6)


def test_a_saving_that_was_overtaken_is_tried_again_soon_and_then_less_often(
    keeper: Callable[..., Keeper], file: Path
) -> None:
    kept, tries = keeper(900.0), []

    for seconds in range(0, 1200, 15):

        def export(at: int = seconds) -> Arrays:
            tries.append(at)
            return {"value": np.zeros(1)}

        with kept._quiet:
            kept.offer(export, NOW + seconds)
            kept._turns += 1
        _finish(kept)
    assert tries == [900, 915, 945, 1005, 1125]
    kept.offer(Part().export, NOW + 1125 + 240)
    _finish(kept)
    assert file.exists()


def test_arrays_that_their_part_refuses_are_set_aside_and_only_the_newest_is_kept(
    keeper: Callable[..., Keeper], file: Path
) -> None:
    for name in ("first", "second"):
        keeper().close(lambda name=name: {name: np.zeros(1)}, NOW)  # type: ignore[misc]
        assert keeper().load(Part().restore, NOW) is None
    assert [path.name for path in file.parent.iterdir()] == [DAMAGED]
    with np.load(file.with_name(DAMAGED)) as arrays:
        assert "second" in arrays
