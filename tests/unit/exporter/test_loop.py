from collections.abc import Iterator

import pytest

from exporter.config import Config
from exporter.run import Exporter


@pytest.fixture
def exporter() -> Iterator[Exporter]:
    made = Exporter(Config(interval=0.1, forecast={"step": 1, "horizons": ["1s"], "arima": False}))
    yield made
    made.close()


def test_after_a_failed_cycle_nothing_old_is_served(exporter: Exporter, monkeypatch: pytest.MonkeyPatch) -> None:
    exporter.turn()
    assert exporter.views().metrics()

    def fail() -> None:
        exporter.stop()
        raise RuntimeError("broken")

    monkeypatch.setattr(exporter, "turn", fail)
    exporter.loop()
    assert exporter.views().metrics() == b""
    assert exporter.views().profiles() == []
