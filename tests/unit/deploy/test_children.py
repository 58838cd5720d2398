import http.server
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.demo.children import (
    is_running,
    load_children,
    save_state,
    start_child,
    stop_child,
    wait_until_ready,
)
from deploy.setup.shell import SetupError, uninterrupted

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "part.log"


@pytest.fixture
def interruptible() -> Iterator[None]:
    # A shell that starts the tests in the background makes them deaf to SIGINT.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def page() -> Iterator[str]:
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_a_child_runs_until_it_is_stopped(log: Path) -> None:
    child = start_child("sleeper", SLEEPER, log)
    assert is_running(child)
    stop_child(child)
    assert not is_running(child)


def test_a_child_takes_its_own_children_with_it(log: Path, tmp_path: Path) -> None:
    note = tmp_path / "grandchild"
    child = start_child("parent", ["sh", "-c", f"sleep 60 & echo $! > {note}; wait"], log)
    while not note.exists() or not note.read_text():
        assert is_running(child)
    stop_child(child)
    status = Path(f"/proc/{note.read_text()}/stat")
    assert not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z"


@pytest.mark.usefixtures("interruptible")
def test_an_interruption_waits_until_what_was_started_is_remembered(log: Path, tmp_path: Path) -> None:
    remembered = tmp_path / "state.json"

    def start_while_interrupted() -> None:
        with uninterrupted():
            child = start_child("sleeper", SLEEPER, log)
            os.kill(os.getpid(), signal.SIGINT)
            save_state(remembered, [child], {})

    with pytest.raises(KeyboardInterrupt):
        start_while_interrupted()
    began = time.monotonic()
    for left in load_children(remembered):
        stop_child(left)
        assert not is_running(left)
    assert time.monotonic() - began < 5, "the child did not hear the request to end"


def test_a_later_process_with_the_same_number_is_left_alone(log: Path) -> None:
    child = start_child("sleeper", SLEEPER, log)
    stop_child(replace(child, started=child.started + 1))
    assert is_running(child)
    stop_child(child)


def test_what_runs_is_remembered_in_the_order_of_its_start(log: Path, tmp_path: Path) -> None:
    children = [start_child(name, SLEEPER, log) for name in ("first", "second")]
    save_state(tmp_path / "state.json", children, {"first": "127.0.0.1:1"})
    assert load_children(tmp_path / "state.json") == children
    for child in children:
        stop_child(child)


def test_nothing_is_remembered_where_nothing_was_started(tmp_path: Path) -> None:
    assert load_children(tmp_path / "state.json") == []


def test_waiting_ends_when_the_page_answers(log: Path, page: str) -> None:
    child = start_child("sleeper", SLEEPER, log)
    wait_until_ready(child, page, log, timeout=5)
    stop_child(child)


def test_a_child_that_ends_at_once_is_reported_with_its_last_words(log: Path, page: str) -> None:
    child = start_child("broken", [sys.executable, "-c", "print('the port is taken')"], log)
    while is_running(child):
        pass
    with pytest.raises(SetupError, match="the port is taken"):
        wait_until_ready(child, page, log, timeout=5)


def test_a_child_that_never_answers_is_reported_after_the_timeout(log: Path) -> None:
    child = start_child("mute", SLEEPER, log)
    with pytest.raises(SetupError, match="did not answer"):
        wait_until_ready(child, "http://127.0.0.1:9/", log, timeout=0.3)
    stop_child(child)
