"""The real server on real sockets: sizes, slow clients, TLS, users, promtool."""

import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import requests
import yaml

TOKEN = {"Authorization": "Bearer a secret of this test"}


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(tmp_path / "key.pem")]
    command = ["openssl", "req", "-x509", "-days", "2", "-out", str(tmp_path / "cert.pem"), *key, *subject]
    subprocess.run(command, check=True, capture_output=True)
    return tmp_path / "cert.pem"


@pytest.fixture
def start_tls(start: Any, certificate: Path) -> Any:
    def begin(**changes: Any) -> Any:
        document = {"tls_server_config": {"cert_file": "cert.pem", "key_file": "key.pem"}, **changes}
        web_file = certificate.with_name("web.yml")
        web_file.write_text(yaml.safe_dump(document))
        return start(str(web_file), "https", str(certificate))

    return begin


def test_metrics_pass_promtool(start: Any, remote: Any, watchdog: Any, relieve: Any, eventually: Any) -> None:
    remote.open_doors()
    actuator = start()
    actuator.post(watchdog)
    actuator.post(relieve)
    eventually(lambda: "cpp_throttle_active{" in actuator.request("GET", "/metrics").text)
    text = actuator.request("GET", "/metrics").text
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True, check=False)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_it_is_healthy_and_ready_and_has_a_page(start: Any) -> None:
    actuator = start()
    assert [actuator.request("GET", path).status_code for path in ("/", "/-/healthy", "/-/ready")] == [200] * 3


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_body_over_the_limit_is_answered_413_and_one_of_the_limit_is_not(
    start: Any, start_tls: Any, scheme: str
) -> None:
    actuator = start() if scheme == "http" else start_tls()
    large = b'{"alerts": []}' + b" " * (1_048_576 - 14)
    assert actuator.request("POST", "/alerts", data=large, headers=TOKEN).status_code == 202
    assert actuator.request("POST", "/alerts", data=large + b" ", headers=TOKEN).status_code == 413


def test_a_client_that_sends_nothing_holds_up_nobody(start_tls: Any) -> None:
    actuator = start_tls()
    port = int(actuator.url.rpartition(":")[2])
    idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
    began = time.monotonic()
    assert actuator.request("GET", "/-/healthy").status_code == 200
    assert time.monotonic() - began < 5
    for connection in idle:
        connection.close()


def test_plain_http_on_the_tls_port_ends_the_connection_only(start_tls: Any) -> None:
    actuator = start_tls()
    with pytest.raises(requests.ConnectionError):
        requests.get(actuator.url.replace("https", "http") + "/", timeout=5)
    assert actuator.request("GET", "/").status_code == 200


def test_many_tls_clients_at_once_get_their_own_whole_answers(start_tls: Any, relieve: Any) -> None:
    actuator = start_tls()
    codes: list[int] = []

    def deliver(number: int) -> None:
        note = {"description": "x" * 200_000}
        alert = {**relieve, "fingerprint": str(number), "annotations": note}
        alert["labels"] = {**relieve["labels"], "container": f"c{number}"}
        codes.append(actuator.post(alert))

    threads = [threading.Thread(target=deliver, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert codes == [202] * 12
    actions = actuator.request("GET", "/actions").json()["actions"]
    assert {action["target"]["container"] for action in actions} == {f"c{number}" for number in range(12)}


def test_an_old_protocol_version_is_not_spoken(start_tls: Any) -> None:
    actuator = start_tls(tls_server_config={"cert_file": "cert.pem", "key_file": "key.pem", "min_version": "TLS13"})
    context = ssl.create_default_context(cafile=actuator.verify)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    port = int(actuator.url.rpartition(":")[2])
    with socket.create_connection(("localhost", port)) as raw, pytest.raises(ssl.SSLError):
        context.wrap_socket(raw, server_hostname="localhost").recv(1)


def test_a_client_without_certificate_is_turned_away_where_one_is_required(start_tls: Any) -> None:
    tls = {"cert_file": "cert.pem", "key_file": "key.pem", "client_ca_file": "cert.pem"}
    actuator = start_tls(tls_server_config={**tls, "client_auth_type": "RequireAndVerifyClientCert"})
    with pytest.raises(requests.ConnectionError):
        actuator.request("GET", "/")
    pair = (actuator.verify, actuator.verify.replace("cert.pem", "key.pem"))
    assert actuator.request("GET", "/", cert=pair).status_code == 200


def test_a_renewed_certificate_is_shown_without_a_restart(start_tls: Any, certificate: Path) -> None:
    actuator = start_tls()
    old = certificate.read_text()
    assert actuator.request("GET", "/").status_code == 200
    command = ["openssl", "req", "-x509", "-days", "2", "-key", str(certificate.with_name("key.pem"))]
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*command, "-out", str(certificate), *subject], check=True, capture_output=True)
    port = int(actuator.url.rpartition(":")[2])
    shown = ssl.get_server_certificate(("localhost", port), ca_certs=str(certificate))
    assert shown.strip() == certificate.read_text().strip() != old.strip()


def test_a_certificate_renewed_before_its_key_leaves_the_old_one_in_use(start_tls: Any, certificate: Path) -> None:
    actuator = start_tls()
    assert actuator.request("GET", "/").status_code == 200
    old, key = certificate.read_text(), certificate.with_name("key.pem")
    trusted, new_key = certificate.with_name("old.pem"), certificate.with_name("new-key.pem")
    trusted.write_text(old)
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(new_key)]
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command = ["openssl", "req", "-x509", "-days", "2", *curve, "-out", str(certificate), *subject]
    subprocess.run(command, check=True, capture_output=True)
    port = int(actuator.url.rpartition(":")[2])
    for _ in range(2):
        shown = ssl.get_server_certificate(("localhost", port), ca_certs=str(trusted))
        assert shown.strip() == old.strip()
    new_key.replace(key)
    shown = ssl.get_server_certificate(("localhost", port), ca_certs=str(certificate))
    assert shown.strip() == certificate.read_text().strip()


def test_with_users_every_request_needs_one_or_the_token(start: Any, tmp_path: Path) -> None:
    hashed = bcrypt.hashpw(b"right", bcrypt.gensalt(rounds=4)).decode()
    (tmp_path / "web.yml").write_text(yaml.safe_dump({"basic_auth_users": {"prometheus": hashed}}))
    actuator = start(str(tmp_path / "web.yml"))
    assert actuator.request("GET", "/metrics").status_code == 401
    for _ in range(2):
        assert actuator.request("GET", "/metrics", auth=("prometheus", "right")).status_code == 200
    assert actuator.request("GET", "/metrics", auth=("prometheus", "wrong")).status_code == 401
    assert actuator.request("GET", "/metrics", auth=("nobody", "right")).status_code == 401
    assert actuator.request("GET", "/metrics", auth=("prometheus", "x" * 100)).status_code == 401
    assert actuator.request("GET", "/metrics", headers=TOKEN).status_code == 200


def test_a_body_beyond_all_reason_never_gets_in(start: Any) -> None:
    actuator = start()
    port = int(actuator.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(b"POST /alerts HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 413")
