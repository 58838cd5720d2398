import contextlib
import csv
import math
import re
import shutil
import socket
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path

import bcrypt
import pytest
import requests

from exporter.__main__ import main

HOURS = 3
USER, PASSWORD = "reader", "s3cret-word"


def exposition(now: float) -> str:
    """A gauge each 30 s of three hours, for one container without rhythm of its own, and one that only just began."""
    lines = ["# TYPE usage gauge"]
    ages = range(HOURS * 3600, -1, -30)
    lines += [
        f'usage{{container="web \\"1\\" <b>"}} {5 + 3 * math.sin(now - ago / 700):.4f} {now - ago}' for ago in ages
    ]
    lines += [f'usage{{container="new"}} 1 {now - ago}' for ago in (30, 0)]
    return "\n".join([*lines, "# EOF", ""])


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for program in ("prometheus", "promtool"):
        assert shutil.which(program), f"{program} is not installed: run make setup"
    home = tmp_path_factory.mktemp("past")
    (home / "history.txt").write_text(exposition(float(int(time.time()))))
    blocks = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(home / "history.txt"), str(home / "data")]
    subprocess.run(blocks, check=True, capture_output=True, timeout=60)
    (home / "prometheus.yml").write_text("{}\n")
    return home


@contextlib.contextmanager
def prometheus(past: Path, data: Path, *flags: str) -> Iterator[str]:
    shutil.copytree(past / "data", data)
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = ["prometheus", f"--config.file={past}/prometheus.yml", f"--storage.tsdb.path={data}"]
    process = subprocess.Popen(
        [*command, f"--web.listen-address={address}", *flags], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for(address)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=20)


def wait_for(address: str) -> None:
    host, port = address.split(":")
    deadline = time.monotonic() + 30
    while True:
        with contextlib.suppress(OSError):
            socket.create_connection((host, int(port)), timeout=1).close()
            break
        assert time.monotonic() < deadline, "Prometheus did not listen within 30 s"
        time.sleep(0.1)
    # A server with a certificate answers plain HTTP with 400 as soon as it listens.
    while requests.get(f"http://{address}/-/ready", timeout=5).status_code == 503:
        assert time.monotonic() < deadline, "Prometheus was not ready within 30 s"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def server(past: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with prometheus(past, tmp_path_factory.mktemp("open") / "data") as address:
        yield f"http://{address}"


@pytest.fixture(scope="module")
def locked(past: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A Prometheus behind a login and a certificate of nobody's authority; its address and the certificate."""
    home = tmp_path_factory.mktemp("locked")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", home / "key.pem", "-out", home / "cert.pem"],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    tls = "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n"
    (home / "web.yml").write_text(f"{tls}basic_auth_users: {{{USER}: '{hashed}'}}\n")
    with prometheus(past, home / "data", f"--web.config.file={home}/web.yml") as address:
        yield address, home / "cert.pem"


def ask(folder: Path, url: str, query: str = "usage", *more: str) -> int:
    files = ["--output", str(folder / "o.csv"), "--plot", str(folder / "o.html")]
    asked = ["--prometheus.url", url, "--query", query, "--span", "3h", "--horizons", "5m,15m", "--test-from", "0.25"]
    return main(["backtest", *asked, *files, *more])


def complaint(capsys: pytest.CaptureFixture[str]) -> str:
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith("cpp-exporter backtest: ")
    return said.removeprefix("cpp-exporter backtest: ").rstrip()


def test_a_users_own_history_is_forecast_scored_and_drawn(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(tmp_path, server) == 0
    said = capsys.readouterr()
    assert "1 of 2 series are left out" in said.err
    assert re.search(r"^ +15m +0\.\d{3}", said.out, re.MULTILINE)
    assert f"plot: {tmp_path / 'o.html'}" in said.out
    with (tmp_path / "o.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 30 * 2 * 3
    assert all(row["series"] == 'usage{container="web "1" <b>"}' for row in rows)
    text = (tmp_path / "o.html").read_text()
    assert len(list(ET.fromstring(text).iter("{http://www.w3.org/2000/svg}svg"))) == 5 + 2
    assert f"usage on {server}" in text


def test_two_weeks_are_more_points_than_prometheus_answers_at_once(server: str, tmp_path: Path) -> None:
    assert ask(tmp_path, server, "usage", "--span", "2w", "--test-from", "0.25") == 0


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("sum(", "--query: Prometheus refuses it (HTTP 400): 1:5: parse error"),
        ("label_replace(usage, 'a', '', 'b', '(')", "--query: Prometheus refuses it (HTTP 4"),
        ('usage * on() group_left {__name__=~"usage"}', "--query: Prometheus refuses it (HTTP 422): "),
        ("nothing_of_the_kind", "--query: nothing to forecast: it has no series"),
        ('usage{container="new"}', "--query: nothing to forecast: series "),
    ],
)
def test_a_query_that_cannot_be_answered_is_told_in_one_line(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], query: str, words: str
) -> None:
    assert ask(tmp_path, server, query) == 2
    assert words in complaint(capsys)
    assert not (tmp_path / "o.csv").exists()


def test_a_prometheus_that_is_not_there_is_told_in_one_line(
    free_port: Callable[[], int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    assert ask(tmp_path, url) == 2
    assert complaint(capsys) == f"{url}: cannot be reached (Connection refused)"


@pytest.mark.parametrize("url", ["127.0.0.1:9090", "http://", "http://[::1", "nothing"])
def test_what_is_no_address_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], url: str) -> None:
    assert ask(tmp_path, url) == 2
    assert complaint(capsys)


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (200, b"<html>", "answers, but not with series of numbers"),
        (200, b"{}", "answers, but not with series of numbers"),
        (200, b'{"data":{"result":[{"metric":{},"histograms":[]}]}}', "answers, but not with series of numbers"),
        (503, b"\n\noverloaded\n", "answers HTTP 503: overloaded"),
        (404, b"<html>" * 999, "answers HTTP 404: <html>"),
    ],
)
def test_what_is_no_prometheus_is_told_in_one_short_line(
    serve: Callable[..., contextlib.AbstractContextManager[str]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    status: int,
    body: bytes,
    words: str,
) -> None:
    with serve(lambda path, query: (status, body)) as url:
        assert ask(tmp_path, url) == 2
    said = complaint(capsys)
    assert words in said
    assert len(said) < 400


def test_behind_a_login_and_a_private_certificate_it_answers_those_who_have_both(
    locked: tuple[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, certificate = locked
    assert ask(tmp_path, f"https://{USER}:{PASSWORD}@{address}") == 2
    assert "certificate is not trusted; name its authority with REQUESTS_CA_BUNDLE" in complaint(capsys)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    for login in ("", f"{USER}:wrong@"):
        assert ask(tmp_path, f"https://{login}{address}") == 2
        assert "wants a login (HTTP 401)" in complaint(capsys)
    assert ask(tmp_path, f"https://{USER}:{PASSWORD}@{address}") == 0
    told = capsys.readouterr()
    for text in (told.out, told.err, (tmp_path / "o.html").read_text(), (tmp_path / "o.csv").read_text()):
        assert PASSWORD not in text


def test_a_password_is_not_shown_when_the_server_is_gone(
    free_port: Callable[[], int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for url in (f"http://{USER}:{PASSWORD}@127.0.0.1:{free_port()}", f"{USER}:{PASSWORD}@127.0.0.1:1"):
        assert ask(tmp_path, url) == 2
        assert PASSWORD not in complaint(capsys)


def test_the_help_shows_how_it_is_used() -> None:
    command = [sys.executable, "-m", "exporter", "backtest", "--help"]
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    assert "examples:" in said
    assert "--prometheus.url http://" in said
    assert "--plot" in said
