"""The right to touch a container: one thread of all processes has it."""

import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

from actuator.ledger.locks import acting_lock
from actuator.model.orders import Target

POD = Target("n1", "shop", "web-1", "main", "a" * 64)
LONE = Target("n1", "", "", "web", "a" * 64)


def test_threads_exclude_each_other_on_a_container_and_on_no_other(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    with acting_lock(ledger, LONE, wait=False) as first, acting_lock(ledger, LONE, wait=False) as second:
        assert (first, second) == (True, False)
        with acting_lock(ledger, replace(LONE, container_id="b" * 64), wait=False) as other:
            assert other
    with acting_lock(ledger, LONE, wait=False) as again:
        assert again


def test_containers_of_a_pod_share_it_whatever_their_ids(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    with acting_lock(ledger, POD, wait=False):
        for same in (replace(POD, container="side"), replace(POD, container_id="b" * 64)):
            with acting_lock(ledger, same, wait=False) as free:
                assert not free
        with acting_lock(ledger, replace(POD, namespace="other"), wait=False) as free:
            assert free


def test_who_waits_has_it_when_the_other_is_done(tmp_path: Path) -> None:
    ledger, had = tmp_path / "ledger", threading.Event()

    def wait() -> None:
        with acting_lock(ledger, POD, wait=True) as free:
            assert free
            had.set()

    thread = threading.Thread(target=wait)
    with acting_lock(ledger, POD, wait=False):
        thread.start()
        assert not had.wait(0.1)
    thread.join(20)
    assert had.is_set()


def test_another_process_is_excluded_and_leaves_nothing_behind_when_it_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from actuator.ledger.locks import acting_lock;"
        "from actuator.model.orders import Target;"
        f"lock = acting_lock(Path(sys.argv[1]), {POD!r}, wait=False);"
        "print(lock.__enter__(), flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "ledger")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        with acting_lock(tmp_path / "ledger", POD, wait=False) as free:
            assert not free
        other.kill()
    with acting_lock(tmp_path / "ledger", POD, wait=False) as free:
        assert free
