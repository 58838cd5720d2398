"""The front that speaks TLS outlives what can go wrong with a single connection."""

import errno
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest

from actuator import tls
from actuator.tls import TlsFront


class Listener:
    """A listening socket whose next accepts fail as told."""

    def __init__(self, faults: list[int]) -> None:
        self.socket, self.faults = socket.create_server(("127.0.0.1", 0)), faults

    def accept(self) -> Any:
        if self.faults:
            number = self.faults.pop(0)
            raise OSError(number, errno.errorcode[number])
        return self.socket.accept()

    def fileno(self) -> int:
        return self.socket.fileno()


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "_PAUSE", 0.001)


def test_failed_accepts_end_neither_the_thread_nor_its_slots(tmp_path: Path) -> None:
    listener, called = Listener([errno.EMFILE, errno.ECONNABORTED] * 50), threading.Event()

    def context() -> ssl.SSLContext:
        called.set()
        raise OSError("no context in this test")

    threading.Thread(target=TlsFront(listener, context, tmp_path).run, daemon=True).start()
    with listener.socket, socket.create_connection(listener.socket.getsockname()):
        assert called.wait(10)


def test_a_connection_for_which_there_is_no_thread_is_closed_and_the_next_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener, called = Listener([]), threading.Event()
    front = TlsFront(listener, ssl.create_default_context, tmp_path)
    monkeypatch.setattr(front, "_serve", lambda raw: (called.set(), raw.close()))
    thread = threading.Thread(target=front.run, daemon=True)
    thread.start()
    start, refused = threading.Thread.start, [True]

    def once(self: threading.Thread) -> None:
        if refused:
            refused.pop()
            raise RuntimeError("can't start new thread")
        start(self)

    monkeypatch.setattr(threading.Thread, "start", once)
    with listener.socket:
        with socket.create_connection(listener.socket.getsockname(), timeout=10) as client:
            assert client.recv(1) == b""
        assert not called.is_set()
        with socket.create_connection(listener.socket.getsockname(), timeout=10):
            assert called.wait(10)


def test_a_closed_listener_ends_the_thread(tmp_path: Path) -> None:
    listener = Listener([errno.EBADF])
    listener.socket.close()
    thread = threading.Thread(target=TlsFront(listener, ssl.create_default_context, tmp_path).run, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
