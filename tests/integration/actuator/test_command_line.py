"""cpp-actuator as a person calls it."""

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml


def call(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "actuator", *map(str, arguments)]
    return subprocess.run(command, text=True, capture_output=True, check=False, timeout=60)


def change(file: Path, **changes: Any) -> None:
    document = yaml.safe_load(file.read_text()) | changes
    file.write_text(yaml.safe_dump({key: value for key, value in document.items() if value is not None}))


def test_a_right_configuration_is_said_to_be_right(config_file: Path) -> None:
    answer = call("check-config", "--config.file", config_file)
    assert (answer.returncode, answer.stdout) == (0, f"{config_file}: is right\n")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dryrun": False}, ["dryrun", "is no key here", "dry_run"]),
        ({"limits": {"cooldwn": "5m"}}, ["limits.cooldwn", "cooldown"]),
        ({"dry_run": "perhaps"}, ["dry_run", "perhaps"]),
        ({"watchdog": {"silence": "3 minutes"}}, ["watchdog.silence", "write for example"]),
        ({"platform": {"kind": "podman"}}, ["platform.kind", "podman", "docker"]),
        ({"webhook": None}, ["webhook.token_file", "is missing"]),
        ({"webhook": {}}, ["webhook.token_file", "is missing"]),
        ({"webhook": {"token_file": "/nonexistent/token"}}, ["/nonexistent/token", "cannot be read"]),
    ],
)
def test_a_wrong_configuration_is_one_line_with_key_and_remedy(
    config_file: Path, changes: Any, words: list[str]
) -> None:
    change(config_file, **changes)
    answer = call("check-config", "--config.file", config_file)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert len(answer.stderr.splitlines()) == 1
    for word in words:
        assert word in answer.stderr


def test_run_does_not_start_with_a_wrong_configuration_and_says_the_same(config_file: Path) -> None:
    change(config_file, dryrun=False)
    checked, started = (call(command, "--config.file", config_file) for command in ("check-config", "run"))
    assert (started.returncode, started.stderr) == (checked.returncode, checked.stderr)


@pytest.mark.parametrize("text", ["- a list", "a: [", "\x00", ""])
def test_a_file_that_holds_no_keys_is_one_line(config_file: Path, text: str) -> None:
    config_file.write_text(text)
    answer = call("check-config", "--config.file", config_file)
    assert answer.returncode == 2
    assert len(answer.stderr.splitlines()) == 1
    assert str(config_file) in answer.stderr


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    answer = call("run", "--config.file", tmp_path / "none.yml")
    assert answer.returncode == 2
    assert answer.stderr.count("\n") == 1
    assert "none.yml: cannot be read" in answer.stderr


def test_a_wrong_web_configuration_is_one_line(config_file: Path, tmp_path: Path) -> None:
    web_file = tmp_path / "web.yml"
    web_file.write_text("tls_server_config: {cert_file: no.pem, key_file: no.pem}")
    answer = call("check-config", "--config.file", config_file, "--web.config.file", web_file)
    assert answer.returncode == 2
    assert "no.pem" in answer.stderr
    web_file.write_text("tls_server_config: {cert: no.pem}")
    answer = call("check-config", "--config.file", config_file, "--web.config.file", web_file)
    assert answer.stderr.count("\n") == 1
    assert "tls_server_config" in answer.stderr


def test_a_port_in_use_is_named_with_the_flag_that_moves_it(config_file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        answer = call("run", "--config.file", config_file, "--web.listen-address", f"127.0.0.1:{port}")
    assert answer.returncode == 1
    assert len(answer.stderr.splitlines()) == 1
    assert str(port) in answer.stderr
    assert "--web.listen-address" in answer.stderr


@pytest.mark.parametrize("address", ["17902", "localhost:http", ":99999"])
def test_an_address_that_is_none_is_one_line(config_file: Path, address: str) -> None:
    answer = call("run", "--config.file", config_file, f"--web.listen-address={address}")
    assert answer.returncode == 1
    assert "--web.listen-address" in answer.stderr


def test_a_ledger_that_cannot_be_opened_is_one_line(config_file: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("this is no database, and long enough to be seen as none" * 20)
    for path in (tmp_path / "none" / "ledger.sqlite", tmp_path / "text"):
        change(config_file, ledger={"path": str(path)})
        answer = call("history", "--config.file", config_file)
        assert answer.returncode == 1
        assert len(answer.stderr.splitlines()) == 1
        assert "ledger.path" in answer.stderr


def test_a_second_run_on_the_same_ledger_is_refused(start: Any, config_file: Path) -> None:
    start()
    answer = call("run", "--config.file", config_file, "--web.listen-address", "127.0.0.1:0")
    assert answer.returncode == 1
    assert "in use by another run" in answer.stderr


def test_history_shows_alert_order_plan_steps_and_outcome_while_run_is_up(
    start: Any, remote: Any, config_file: Path, watchdog: Any, relieve: Any, eventually: Any
) -> None:
    remote.open_doors()
    actuator = start()
    assert call("history", "--config.file", config_file).stdout.startswith("Nothing")
    actuator.post(watchdog)
    actuator.post(relieve, {**relieve, "fingerprint": "g", "labels": {**relieve["labels"], "intent": "dance"}})
    eventually(lambda: [step["state"] for step in actuator.steps()] == ["done"])
    table = call("history", "--config.file", config_file).stdout
    for word in ("CppRelieve", "relieve cpu", "plan", "set_limit", "/cgroup/web/cpu: 1.0 -> 0.45", "outcome  done"):
        assert word in table
    assert "unknown_intent" in table
    document = json.loads(call("history", "--config.file", config_file, "--format", "json").stdout)
    assert [action["intent"] for action in document] == ["dance", "relieve"]


def test_restore_of_nothing_says_so(start: Any, config_file: Path) -> None:
    start()
    answer = call("restore", "--config.file", config_file, "--all")
    assert (answer.returncode, answer.stdout[:23]) == (0, "No container to restore")
    assert call("restore", "--config.file", config_file, "--container", "web").returncode == 1
    assert call("restore", "--config.file", config_file).returncode == 2


@pytest.mark.parametrize("command", [["history"], ["restore", "--all"]])
def test_a_ledger_that_is_not_there_is_one_line_and_none_is_made(
    config_file: Path, tmp_path: Path, command: list[str]
) -> None:
    missing = tmp_path / "none.sqlite"
    change(config_file, ledger={"path": str(missing)})
    answer = call(*command, "--config.file", config_file)
    assert (answer.returncode, answer.stdout, answer.stderr.count("\n")) == (1, "", 1)
    assert f"{missing}: does not exist" in answer.stderr
    assert not missing.exists()
