import contextlib
import gzip
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from exporter.sections import SourceConfig
from exporter.sources import http, scraped
from exporter.sources.exposition import Samples, parse, parse_chunks
from exporter.sources.http import HttpSource, newest
from exporter.sources.scraped import SELDOM, Parser

GOOD = b"# TYPE a gauge\na 1 1800000000000\na 2 1800000007500\n# TYPE b gauge\nb 3\n"
WANTED = frozenset({"a", "b"})

Handler = Callable[[socket.socket, bytes], None]


class Server:
    def __init__(self) -> None:
        self.handler: Handler = _answer(GOOD)
        self.requests: list[bytes] = []
        self.wrap: Callable[[socket.socket], socket.socket] = lambda connection: connection
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/metrics"

    def close(self) -> None:
        self._stopping.set()
        with socket.create_connection(("127.0.0.1", self.port)):
            pass
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self._stopping.is_set():
                connection.close()
                return
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection, self.wrap(connection) as wrapped:
            request = wrapped.recv(65536)
            self.requests.append(request)
            self.handler(wrapped, request)


def _answer(body: bytes, status: str = "200 OK", more: str = "", length: int | None = None) -> Handler:
    def handle(connection: socket.socket, _: bytes) -> None:
        size = len(body) if length is None else length
        head = f"HTTP/1.1 {status}\r\nContent-Length: {size}\r\nConnection: close\r\n{more}\r\n"
        connection.sendall(head.encode() + body)

    return handle


def _drip(connection: socket.socket, _: bytes) -> None:
    connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(GOOD)}\r\nConnection: close\r\n\r\n".encode())
    for byte in GOOD:
        connection.sendall(bytes([byte]))
        time.sleep(0.05)


def _silence(connection: socket.socket, _: bytes) -> None:
    connection.settimeout(3)
    connection.recv(1)


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


@pytest.fixture
def open_source() -> Iterator[Callable[..., HttpSource[Samples]]]:
    opened = []

    def make(url: str, timeout: float = 2.0, **more: Any) -> HttpSource[Samples]:
        config = SourceConfig(url=url, timeout=timeout, **more)
        opened.append(HttpSource("cadvisor", config, partial(parse_chunks, wanted=WANTED)))
        return opened[-1]

    yield make
    for source in opened:
        source.close()


def test_a_good_answer_becomes_samples(server: Server, open_source: Callable[..., HttpSource[Samples]]) -> None:
    reading = open_source(server.url).read()
    assert reading.content is not None
    assert reading.content["a"].values.tolist() == [1.0, 2.0]
    assert newest(reading.content) == 1_800_000_007.5


def test_text_without_timestamps_has_no_newest_sample() -> None:
    assert str(newest(parse(b"# TYPE b gauge\nb 3\n", WANTED))) == "nan"


def test_a_compressed_answer_is_read(server: Server, open_source: Callable[..., HttpSource[Samples]]) -> None:
    server.handler = _answer(gzip.compress(GOOD), more="Content-Encoding: gzip\r\n")
    reading = open_source(server.url).read()
    assert reading.content is not None
    assert set(reading.content) == WANTED


def test_an_answer_in_chunks_is_read(server: Server, open_source: Callable[..., HttpSource[Samples]]) -> None:
    def chunked(connection: socket.socket, _: bytes) -> None:
        parts = [GOOD[:20], GOOD[20:], b""]
        body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + body)

    server.handler = chunked
    reading = open_source(server.url).read()
    assert reading.content is not None
    assert set(reading.content) == WANTED


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        (_answer(b"<html>busy</html>"), "no metric family"),
        (_answer(b""), "no metric family"),
        (_answer(b"# TYPE a gauge\na what\n"), "cannot read the line"),
        (_answer(b"# TYPE a gauge\na 1 " + b"9" * 400 + b"\n"), "cannot read the line"),
        (_answer(GOOD, status="500 Internal Server Error"), "500"),
        (_answer(b"Unauthorized", status="401 Unauthorized"), "401"),
        (_answer(b"Forbidden (user=who, resource=nodes)", status="403 Forbidden"), "403"),
        (_answer(b"", status="503 Service Unavailable"), "503"),
        (_answer(GOOD[:30], length=len(GOOD)), "bytes read"),
        (lambda connection, _: connection.sendall(b"\x16\x03\x01nonsense\r\n\r\n"), ""),
        (lambda connection, _: None, ""),
    ],
    ids=[
        "an error page",
        "nothing",
        "garbage",
        "no time",
        "an error",
        "a stranger",
        "no right",
        "too busy",
        "half an answer",
        "another protocol",
        "a closed door",
    ],
)
def test_a_bad_answer_counts_as_down_with_its_reason(
    server: Server, open_source: Callable[..., HttpSource[Samples]], handler: Handler, reason: str
) -> None:
    server.handler = handler
    source = open_source(server.url)
    with capture_logs() as logs:
        reading = source.read()
    assert (reading.content, source.up, source.errors) == (None, False, 1)
    assert [entry["event"] for entry in logs] == ["source is down"]
    assert reason in logs[0]["reason"]


def test_a_probe_that_answers_and_says_that_it_is_not_well_is_down_and_what_it_serves_is_taken(server: Server) -> None:
    source = scraped.probe(SourceConfig(url=server.url))
    with capture_logs() as logs:
        for word in (b"1", b"0", b"0", b"1"):
            counts = b"# TYPE container_file_opens_total counter\ncontainer_file_opens_total 7\n"
            server.handler = _answer(counts + b"# TYPE cpp_probe_up gauge\ncpp_probe_up " + word + b"\n")
            reading = source.read()
            assert source.up is (word == b"1")
            assert reading.content is not None
            assert reading.content["container_file_opens_total"].values.tolist() == [7.0]
    source.close()
    assert [entry["event"] for entry in logs] == ["source is up", "source is down", "source is up"]
    assert "cpp_probe_up 0" in logs[1]["reason"]
    assert source.errors == 0


def test_a_probe_that_lost_events_since_the_last_reading_is_down_for_this_one(server: Server) -> None:
    source = scraped.probe(SourceConfig(url=server.url))
    ups = []
    with capture_logs() as logs:
        for total in (5, 5, 17, 17, 0, 0):
            lost = f"# TYPE cpp_probe_lost_events_total counter\ncpp_probe_lost_events_total {total}\n"
            server.handler = _answer(b"# TYPE cpp_probe_up gauge\ncpp_probe_up 1\n" + lost.encode())
            source.read()
            ups.append(source.up)
    source.close()
    assert ups == [True, True, False, True, True, True]
    assert "lost 12 events" in next(entry["reason"] for entry in logs if entry["event"] == "source is down")


@pytest.mark.parametrize("handler", [_drip, _silence], ids=["drips", "is silent"])
def test_a_source_that_drips_or_is_silent_is_given_up_at_its_deadline(
    server: Server, open_source: Callable[..., HttpSource[Samples]], handler: Handler
) -> None:
    server.handler = handler
    reading = open_source(server.url, timeout=0.4).read()
    assert reading.content is None
    assert 0.3 < reading.duration < 1.5


def test_a_source_is_logged_only_when_it_goes_down_or_comes_back(
    server: Server, open_source: Callable[..., HttpSource[Samples]]
) -> None:
    source = open_source(server.url)
    with capture_logs() as logs:
        for body in (GOOD, GOOD, b"", b"", b"", GOOD, GOOD):
            server.handler = _answer(body)
            source.read()
    assert [entry["event"] for entry in logs] == ["source is up", "source is down", "source is up"]
    assert source.errors == 3
    assert source.up is True


def test_a_port_where_nobody_listens_is_down(open_source: Callable[..., HttpSource[Samples]]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    source = open_source(f"http://127.0.0.1:{port}/metrics")
    assert source.read().content is None
    assert source.errors == 1


def test_an_address_that_is_none_is_down_and_raises_nothing(open_source: Callable[..., HttpSource[Samples]]) -> None:
    assert open_source("not an address").read().content is None


def test_the_token_is_sent_and_read_again_for_each_request(
    server: Server, open_source: Callable[..., HttpSource[Samples]], tmp_path: Path
) -> None:
    token = tmp_path / "token"
    source = open_source(server.url, token_file=token)
    for secret in ("first", "second"):
        token.write_text(secret + "\n")
        assert source.read().content is not None
    assert [b"Bearer first\r\n" in server.requests[0], b"Bearer second\r\n" in server.requests[1]] == [True, True]


def test_a_missing_token_file_is_a_reason_for_being_down(
    server: Server, open_source: Callable[..., HttpSource[Samples]], tmp_path: Path
) -> None:
    source = open_source(server.url, token_file=tmp_path / "none")
    with capture_logs() as logs:
        assert source.read().content is None
    assert "none" in logs[0]["reason"]
    assert server.requests == []


@pytest.mark.parametrize("token", [b"\xff\xfe\x00", "t\u00f6ken \u2713".encode(), b"two\nlines"])
def test_a_token_that_cannot_be_sent_is_a_reason_for_being_down(
    server: Server, open_source: Callable[..., HttpSource[Samples]], tmp_path: Path, token: bytes
) -> None:
    (tmp_path / "token").write_bytes(token)
    source = open_source(server.url, token_file=tmp_path / "token")
    assert (source.read().content, source.errors) == (None, 1)
    assert server.requests == []


@pytest.mark.parametrize("more", [0, 1])
def test_an_answer_over_the_largest_size_is_refused_and_one_of_it_is_not(
    server: Server, open_source: Callable[..., HttpSource[Samples]], monkeypatch: pytest.MonkeyPatch, more: int
) -> None:
    monkeypatch.setattr(http, "_MOST_BYTES", len(GOOD))
    server.handler = _answer(GOOD + b"\n" * more)
    with capture_logs() as logs:
        reading = open_source(server.url).read()
    assert (reading.content is None) == bool(more)
    assert ("the answer is over" in str(logs)) == bool(more)


def test_proxies_and_passwords_of_the_environment_are_not_for_sources(
    server: Server, open_source: Callable[..., HttpSource[Samples]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login who password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert open_source(server.url).read().content is not None
    assert b"Authorization" not in server.requests[0]


def test_families_that_change_slowly_are_read_once_in_a_while(server: Server) -> None:
    source = HttpSource("probe", SourceConfig(url=server.url), Parser(frozenset({"a"}), frozenset({"b"})))
    read = [source.read().content for _ in range(2 * SELDOM)]
    source.close()
    assert [samples is not None and "b" in samples for samples in read] == 2 * ([True] + (SELDOM - 1) * [False])
    assert all(samples is not None and "a" in samples for samples in read)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate that 127.0.0.1 shows and signed itself, and its key, in one file."""
    pem = tmp_path / "server.pem"
    made = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    who = ["-subj", "/CN=kubelet", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(["openssl", "req", *made, *who, "-keyout", pem, "-out", tmp_path / "ca.crt"], check=True)
    pem.write_text(pem.read_text() + (tmp_path / "ca.crt").read_text())
    return pem


@pytest.fixture
def secure(server: Server, certificate: Path) -> str:
    """The server behind TLS; its address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.wrap = lambda connection: context.wrap_socket(connection, server_side=True)
    return server.url.replace("http:", "https:")


def test_a_kubelet_is_trusted_by_the_authority_that_is_named(
    secure: str, open_source: Callable[..., HttpSource[Samples]], tmp_path: Path
) -> None:
    assert open_source(secure, ca_file=tmp_path / "ca.crt").read().content is not None


def test_who_shows_a_strange_certificate_never_sees_the_token(
    server: Server, secure: str, open_source: Callable[..., HttpSource[Samples]], tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("secret")
    source = open_source(secure, token_file=tmp_path / "token")
    with capture_logs() as logs:
        assert source.read().content is None
    assert "certificate" in logs[0]["reason"].lower()
    assert server.requests == []


def test_a_certificate_that_nobody_can_check_is_taken_only_where_that_was_said(
    secure: str, open_source: Callable[..., HttpSource[Samples]]
) -> None:
    assert open_source(secure, verify=False).read().content is not None


def test_an_authority_that_is_not_there_yet_is_a_reason_for_being_down(
    secure: str, open_source: Callable[..., HttpSource[Samples]], tmp_path: Path
) -> None:
    source = open_source(secure, ca_file=tmp_path / "later.crt")
    assert source.read().content is None
    (tmp_path / "later.crt").write_text((tmp_path / "ca.crt").read_text())
    assert source.read().content is not None
