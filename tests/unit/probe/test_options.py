import pytest

from exporter.probe.__main__ import main


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--interval", "10ms"], "'10ms' is no interval from 100ms to 60s; write for example 1s"),
        (["--interval", "301s"], "'301s' is no interval from 100ms to 60s"),
        (["--interval", "soon"], "'soon' is no interval from 100ms to 60s"),
        (["--web.listen-address", "17901"], "'17901' is no address; write HOST:PORT"),
    ],
)
def test_a_wrong_option_is_refused_with_an_example(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
