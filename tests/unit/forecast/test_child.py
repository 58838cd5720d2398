import signal
import subprocess
import sys

import numpy as np
import pytest

from exporter.forecast import boosting, child, exchange
from exporter.forecast.exchange import Arrays

LIMITS = {"seconds": np.array(5.0), "cpu_seconds": np.array(5.0)}
HANGS = """
import time
from exporter.forecast import child
child._OVERTIME, child.TASKS = 0.2, (lambda *_: time.sleep(60),)
child.main()
"""


def fine(request: Arrays, enough: object) -> Arrays:
    return {"fine": np.array(1)}


def broken(request: Arrays, enough: object) -> Arrays:
    raise RuntimeError("no\nmemory")


def test_a_task_that_raises_is_named_in_a_line_and_costs_the_others_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken.__module__ = boosting.__name__
    monkeypatch.setattr(child, "TASKS", (broken, fine))
    answer = exchange.read(exchange.write(child.serve(dict(LIMITS))))
    assert answer["failed"].tolist() == ["boosting"]
    assert answer["fine"] == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_where_no_task_raises_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "TASKS", (fine,))
    assert exchange.read(exchange.write(child.serve(dict(LIMITS))))["failed"].size == 0


def test_a_child_whose_task_hangs_and_whose_parent_is_gone_ends() -> None:
    request = exchange.write({**LIMITS, "seconds": np.array(0.2)})
    ran = subprocess.run([sys.executable, "-c", HANGS], input=request, capture_output=True, timeout=20, check=False)
    assert ran.returncode == -signal.SIGALRM
