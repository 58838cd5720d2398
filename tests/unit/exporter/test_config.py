from pathlib import Path

import pytest

from exporter.__main__ import main
from exporter.config import Config, load_config

EDGES = (
    "history: {window: 150s}",
    "history: {forecast_window: 1h}",
    "forecast: {horizons: [5m]}",
    "{interval: 100ms, forecast: {step: 100ms, horizons: [300ms, 700ms]}}",
    "{interval: 2s, forecast: {step: 2s, horizons: [10s, 20s, 30s]}}",
)


def _check(path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = main(["check-config", "--config.file", str(path)])
    return code, *capsys.readouterr()


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("intervall: 15s", ["intervall: unknown key", "interval"]),
        ("sources: {cadvisor: {url: a, tokn: b}}", ["sources.cadvisor.tokn: unknown key", "token_file"]),
        ("sources: {kubelet: {url: a, ca: b}}", ["sources.kubelet.ca: unknown key", "ca_file, refresh"]),
        ("sources: {kubelet: {refresh: 1m}}", ["sources.kubelet.url: ", "required"]),
        ("node: ${CPP_NOT_THERE}", ["names ${CPP_NOT_THERE}, which the environment does not have"]),
        ("sources: {prometheus: {url: a, span: 1d}}", ["sources.prometheus.span: unknown key", "window"]),
        ("assess: {thresholds: {leak: 1}}", ["assess.thresholds.leak: unknown key", "memory_leak"]),
        ("interval: soon", ["interval: ", "'soon' is not a duration", "15s"]),
        ("interval: 0s", ["interval: ", "greater than 0"]),
        ("max_syscalls: many", ["max_syscalls: ", "integer", "'many'"]),
        ("history: {max_containers: 0}", ["history.max_containers: ", "greater than or equal to 1"]),
        ("assess: {thresholds: {anomaly: 1.5}}", ["assess.thresholds.anomaly: ", "less than or equal to 1"]),
        ("sources: {cadvisor: {}}", ["sources.cadvisor.url: ", "required"]),
        ("sources: 5", ["sources: "]),
        ("forecast: {horizons: [90s]}", ["forecast.horizons: 90s is no multiple of forecast.step (1m)"]),
        ("forecast: {horizons: []}", ["forecast.horizons: has 0 entries; give one to 3"]),
        ("forecast: {horizons: [5m, 10m, 15m, 20m]}", ["forecast.horizons: has 4 entries; give one to 3"]),
        ("forecast: {horizons: [5m, 300]}", ["forecast.horizons: 5m is there twice; leave one out"]),
        ("forecast: {horizons: [1h], step: 2h}", ["forecast.horizons: 1h is no multiple"]),
        ("history: {window: 5s}", ["history.window: 5s is too short; make it at least 150s"]),
        ("history: {forecast_window: 10s}", ["history.forecast_window: 10s is too short; make it at least 1h"]),
        ("node: ''", ["node: is empty; give a name"]),
        ("interval: .inf", ["interval: ", "finite"]),
        ("interval: 2m", ["forecast.step: is shorter than interval"]),
        ("- interval", ["holds list; write keys"]),
        ("just words", ["holds str; write keys"]),
        ("a: [", ["is not YAML", "mend the syntax"]),
        ("a: \x00", ["is not YAML"]),
    ],
)
def test_a_bad_file_gets_one_line_with_file_key_and_remedy_and_exit_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, parts: list[str]
) -> None:
    path = tmp_path / "exporter.yml"
    path.write_text(text)
    code, output, error = _check(path, capsys)
    assert (code, output) == (2, "")
    assert error.startswith(f"cpp-exporter: {path}: ")
    assert error.count("\n") == 1
    for part in parts:
        assert part in error


def test_a_file_that_is_no_text_is_said_to_be_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "exporter.yml"
    path.write_bytes(b"\xff\xfe\x00binary")
    code, _, error = _check(path, capsys)
    assert code == 2
    assert error.count("\n") == 1


@pytest.mark.parametrize("what", ["none.yml", "."])
def test_a_file_that_cannot_be_read_is_said_to_be_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    code, _, error = _check(tmp_path / what, capsys)
    assert code == 2
    assert "cannot be read" in error
    assert error.count("\n") == 1


def test_run_refuses_a_bad_file_as_check_config_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "exporter.yml"
    path.write_text("intervall: 15s")
    said = _check(path, capsys)
    assert main(["run", "--config.file", str(path)]) == 2
    assert capsys.readouterr().err == said[2]


@pytest.mark.parametrize("text", ["", "# nothing\n", "interval: 5s\nsources: {probe: null}\n", "interval: 30", *EDGES])
def test_a_good_file_is_good(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    path = tmp_path / "exporter.yml"
    path.write_text(text)
    assert _check(path, capsys) == (0, "the configuration is good\n", "")


def test_without_a_file_the_defaults_hold(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-config"]) == 0
    config = load_config(None)
    assert config == Config()
    assert config.interval == 15.0
    assert config.forecast.horizons == (300.0, 900.0, 1800.0)
    assert config.node


def test_every_key_or_its_section_has_a_description() -> None:
    schema = Config.model_json_schema()
    for section in (schema, *schema["$defs"].values()):
        assert section["description"]
        for key, field in section["properties"].items():
            assert field.get("description") or "$ref" in str(field), key


def test_all_nodes_can_share_one_file_that_names_variables_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NODE_NAME", "n7")
    monkeypatch.setenv("NODE_IP", "10.0.0.7")
    path = tmp_path / "exporter.yml"
    path.write_text('{node: "${NODE_NAME}", sources: {kubelet: {url: "https://${NODE_IP}:10250/pods"}}}')
    config = load_config(path)
    assert config.sources.kubelet is not None
    assert (config.node, config.sources.kubelet.url) == ("n7", "https://10.0.0.7:10250/pods")
