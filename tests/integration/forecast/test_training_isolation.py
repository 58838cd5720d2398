import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from exporter.forecast.trainer import CHILD, Answer, Failure, Trainer

ASKED = {
    "series": np.empty((0, 400), np.float32),
    "order": np.empty((0, 3), np.int64),
    "searches": np.array(0),
    "cpu_seconds": np.array(60.0),
}
TELL = "import os, sys; sys.exit(' '.join(sorted(os.environ)))"


@pytest.fixture
def started() -> Iterator[Callable[..., Trainer]]:
    trainers: list[Trainer] = []

    def start(*command: str) -> Trainer:
        trainers.append(Trainer(60.0, time.monotonic, command or CHILD))
        trainers[-1].start(ASKED)
        return trainers[-1]

    yield start
    for trainer in trainers:
        trainer.close()


def test_no_module_in_the_working_directory_is_run(
    started: Callable[..., Trainer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "numpy.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    assert isinstance(started().wait(), Answer)
    assert not (tmp_path / "run").exists()


def test_the_child_is_not_handed_what_it_does_not_need(
    started: Callable[..., Trainer], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STORE_PASSWORD", "x")
    assert isinstance(started(sys.executable, "-c", TELL).wait(), Failure)
    said = capsys.readouterr().out
    assert "OMP_NUM_THREADS" in said
    assert "STORE_PASSWORD" not in said


@pytest.mark.parametrize("script", ["pass", "raise SystemExit(1)"])
def test_a_scratch_folder_that_was_cleaned_away_is_a_failure(started: Callable[..., Trainer], script: str) -> None:
    trainer = started(sys.executable, "-c", script)
    assert trainer._running is not None
    trainer._running.process.wait(30)
    shutil.rmtree(trainer._running.scratch.name)
    ended = trainer.poll()
    assert isinstance(ended, Failure)
    assert ended.reason == "died"


def test_no_place_for_a_scratch_folder_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    trainer = Trainer(60.0, time.monotonic)
    trainer.start(ASKED)
    ended = trainer.poll()
    assert isinstance(ended, Failure)
    assert ended.reason == "start"


@pytest.mark.parametrize("ours", [True, False])
def test_the_first_pass_removes_old_folders_of_this_user_and_nothing_else(
    started: Callable[..., Trainer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ours: bool
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yesterday = time.time() - 90000
    for name in ("cpp-training-old", "cpp-training-new", "others"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "request").write_text("x")
    (tmp_path / "cpp-training-link").symlink_to(tmp_path / "others")
    for name in ("cpp-training-old", "others"):
        os.utime(tmp_path / name, (yesterday, yesterday))
    if not ours:
        owner = os.getuid()
        monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    assert isinstance(started(sys.executable, "-c", "raise SystemExit(1)").wait(), Failure)
    left = {"cpp-training-new", "cpp-training-link", "others"} | (set() if ours else {"cpp-training-old"})
    assert {path.name for path in tmp_path.iterdir()} == left
    assert (tmp_path / "others" / "request").exists()
