import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exporter import options
from exporter.__main__ import main
from exporter.addresses import listen_address
from exporter.probe import __main__ as probe


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)
        else:
            yield action


@pytest.mark.parametrize("parser", [options.parser, probe._parser], ids=["cpp-exporter", "cpp-probe"])
def test_every_option_has_a_help_line(parser: Callable[[], argparse.ArgumentParser]) -> None:
    actions = list(_actions(parser()))
    assert len(actions) > 4
    for action in actions:
        assert action.help, action.option_strings
        assert action.help[0] != "(", action.option_strings


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (":17900", "0.0.0.0:17900"),
        ("127.0.0.1:17900", "127.0.0.1:17900"),
        ("localhost:0", "localhost:0"),
        ("[::1]:17900", "[::1]:17900"),
    ],
)
def test_an_address_without_a_host_is_every_address(text: str, address: str) -> None:
    assert listen_address(text) == address
    assert options.parser().parse_args(["run", f"--web.listen-address={text}"]).listen == address
    assert probe._parser().parse_args([f"--web.listen-address={text}"]).listen == address


@pytest.mark.parametrize("text", ["", ":", "17900", "localhost", "localhost:http", ":70000"])
def test_an_address_that_is_none_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write HOST:PORT, such as"):
        listen_address(text)


REPLAY = ["replay", "--input", "i", "--output", "o"]
BACKTEST = ["backtest", "--input", "i", "--output", "o"]


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([*REPLAY, "--step", "0s"], ["--step", "'0s' is too short; give at least 1ms"]),
        ([*REPLAY, "--step", "0.0001ms"], ["--step", "is too short"]),
        ([*REPLAY, "--step", "soon"], ["--step", "'soon' is not a duration; write for example"]),
        ([*REPLAY, "--learn", "0s"], ["--learn", "is too short"]),
        ([*BACKTEST, "--quantiles", "abc"], ["--quantiles", "'abc' is no list of numbers; write for example"]),
        ([*BACKTEST, "--horizons", "5m,0s"], ["--horizons", "'0s' is too short"]),
        ([*BACKTEST, "--prometheus.url", "http://a"], ["--prometheus.url", "not allowed with"]),
        (["backtest", "--output", "o"], ["--input", "is required"]),
        (["run", "--web.listen-address", "here"], ["--web.listen-address", "'here' is no address"]),
        ([], ["command"]),
    ],
)
def test_a_wrong_option_gets_one_line_and_exit_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], parts: list[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("cpp-exporter")
    assert error.count("\n") == 1
    for part in parts:
        assert part in error


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ([*BACKTEST, "--query", "up"], "--query: goes with --prometheus.url"),
        ([*BACKTEST, "--span", "1d"], "--span: goes with --prometheus.url"),
        (["backtest", "--prometheus.url", "http://a", "--output", "o"], "--prometheus.url: needs --query"),
    ],
)
def test_a_query_and_prometheus_go_together(
    capsys: pytest.CaptureFixture[str], arguments: list[str], part: str
) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert part in error
    assert error.count("\n") == 1


def test_a_file_alone_needs_no_query(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backtest", "--input", str(tmp_path / "none.csv"), "--output", str(tmp_path / "o.csv")]) == 2
    assert "none.csv: cannot be read" in capsys.readouterr().err
