import contextlib
import json
import math
import re
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exporter.config import Config
from exporter.run import Exporter

WEB, DB = "4f" * 32, "ab" * 32
FORECAST = {"step": "1s", "horizons": ["2s"], "arima": False, "min_history": "6s"}

Run = Callable[..., Any]
Serve = Callable[..., contextlib.AbstractContextManager[str]]


class Node:
    """Serves two containers whose memory stands still and whose CPU swings; one can be taken away."""

    def __init__(self) -> None:
        self.names = {WEB: "web", DB: "db"}

    def __call__(self, path: str, query: dict[str, str]) -> tuple[int, bytes]:
        now = time.time()
        cpu, memory = "container_cpu_usage_seconds_total", "container_memory_working_set_bytes"
        lines = {cpu: [f"# TYPE {cpu} counter"], memory: [f"# TYPE {memory} gauge"]}
        for key, name in self.names.items():
            who = f'{{id="/docker/{key}",image="shop:1",name="{name}"}}'
            lines[cpu].append(f"{cpu}{who} {0.25 * now + 0.2 * math.sin(now):.6f} {now * 1000:.0f}")
            lines[memory].append(f"{memory}{who} 1048576 {now * 1000:.0f}")
        return 200, "\n".join(lines[cpu] + lines[memory]).encode() + b"\n"


def _value(text: str, pattern: str) -> float | None:
    found = re.search(rf"^{pattern}[^\n]* (\S+)$", text, re.MULTILINE)
    return None if found is None else float(found[1])


def _trusted(exporter: Any, container: str = "web") -> bool:
    pattern = f'cpp_forecast_trusted{{[^\n]*container="{container}"[^\n]*resource="memory"'
    return _value(exporter.get("/metrics").text, pattern) == 1


def _past(exporter: Any, key: str) -> list[float]:
    answer = exporter.get(f"/profiles/{key}")
    points = answer.json()["runtime_metrics"]["memory_usage"] if answer.ok else []
    return [point["timestamp"] for point in points]


@pytest.fixture
def learned(run_exporter: Run, serve: Serve, tmp_path: Path) -> Callable[..., Any]:
    """Return (node address, further keys) → an exporter with a state directory of its own."""

    def start(url: str, **more: Any) -> Any:
        sources = {"cadvisor": {"url": url, "timeout": "1s"}, "probe": None}
        keys = {"forecast": FORECAST, "state": {"directory": str(tmp_path / "state"), "interval": "1s"}}
        return run_exporter(sources | more.pop("sources", {}), **(keys | more))

    return start


def _saved_after(file: Path, moment: float) -> bool:
    return file.exists() and file.stat().st_mtime > moment


def test_an_exporter_that_was_killed_goes_on_where_it_stopped(
    learned: Callable[..., Any], serve: Serve, tmp_path: Path
) -> None:
    file = tmp_path / "state/state.npz"
    with serve(Node()) as url:
        first = learned(url)
        first.wait_for(lambda: _trusted(first), "the forecast of memory is trusted", 40)
        assert time.time() - _past(first, WEB)[0] > 5
        moment = time.time()
        first.wait_for(lambda: _saved_after(file, moment), "what was learned is saved")
        first.process.kill()
        first.process.wait(10)

        begun = time.time()
        second = learned(url)
        second.wait_for(lambda: second.get("/-/ready").ok, "the exporter is ready")
        text = second.get("/metrics").text
        assert _trusted(second), "trust was lost"
        assert _value(text, 'cpp_memory_forecast_bytes{[^\n]*container="web"') == 1048576
        assert (_value(text, 'cpp_forecast_coverage_ratio{[^\n]*workload="web"[^\n]*memory') or 0) > 0.8
        assert _past(second, WEB)[0] < moment - 5, "the past was lost"
        assert time.time() - begun < float(FORECAST["min_history"].removesuffix("s")), "too late to show anything"
        assert second.stop() == 0
    assert 'event="state restored"' in second.log.read_text()
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert [path.name for path in file.parent.iterdir()] == ["state.npz"]


def test_what_was_learned_last_is_saved_when_the_exporter_is_asked_to_stop(
    learned: Callable[..., Any], serve: Serve, tmp_path: Path
) -> None:
    state = {"directory": str(tmp_path / "state"), "interval": "1h"}
    with serve(Node()) as url:
        first = learned(url, state=state)
        first.wait_for(lambda: len(_past(first, DB)) > 3, "something is remembered")
        assert not (tmp_path / "state/state.npz").exists()
        assert first.stop() == 0
        oldest = json.loads(zipfile.ZipFile(tmp_path / "state/state.npz").read("about.json"))["at"]
        second = learned(url, state=state)
        second.wait_for(lambda: second.get("/-/ready").ok, "the exporter is ready")
        assert _past(second, DB)[0] < oldest


def test_a_container_that_went_meanwhile_is_not_served_and_its_workload_is_remembered(
    learned: Callable[..., Any], serve: Serve
) -> None:
    node = Node()
    with serve(node) as url:
        first = learned(url)
        first.wait_for(lambda: _trusted(first, "db"), "the forecast of memory is trusted", 40)
        assert first.stop() == 0
        del node.names[DB]
        heir = "cd" * 32
        second = learned(url)
        second.wait_for(lambda: second.get("/-/ready").ok, "the exporter is ready")
        assert 'container="db"' not in second.get("/metrics").text
        node.names[heir] = "db"
        pattern = 'cpp_memory_forecast_bytes{[^\n]*container="db"'
        second.wait_for(lambda: _value(second.get("/metrics").text, pattern), "its successor is forecast")
        assert f'container_id="{heir}"' in second.get("/metrics").text


class Prometheus:
    """Knows the memory of one container at each second of the last hour."""

    def __init__(self) -> None:
        self.starts: list[float] = []

    def __call__(self, path: str, query: dict[str, str]) -> tuple[int, bytes]:
        start, end = float(query["start"]), float(query["end"])
        self.starts.append(start)
        seconds = range(math.ceil(start), math.floor(end) + 1)
        known = [{"metric": {"container_id": WEB}, "values": [[second, "1048576"] for second in seconds]}]
        result = known if query["query"].startswith("max_over_time(cpp_memory") and ">" not in query["query"] else []
        return 200, json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}).encode()


def test_what_lies_between_the_saving_and_the_start_is_read_from_prometheus(
    learned: Callable[..., Any], serve: Serve, tmp_path: Path
) -> None:
    file, prometheus = tmp_path / "state/state.npz", Prometheus()
    with serve(Node()) as url, serve(prometheus) as past:
        first = learned(url)
        first.wait_for(lambda: len(_past(first, WEB)) > 3, "something is remembered")
        assert first.stop() == 0
        saved = json.loads(zipfile.ZipFile(file).read("about.json"))["at"]
        time.sleep(4)
        second = learned(url, sources={"prometheus": {"url": past}})
        second.wait_for(lambda: second.get("/-/ready").ok, "the exporter is ready")
        assert second.stop() == 0
        assert saved < min(prometheus.starts) <= saved + 2
    told = re.search(r'event="past read from Prometheus"[^\n]* steps=(\d+)', second.log.read_text())
    assert told is not None
    assert int(told[1]) >= 3


def _turning(tmp_path: Path, url: str, past: str | None = None) -> Exporter:
    forecast = {"step": 1, "horizons": ["1s"], "arima": False}
    sources = {"cadvisor": {"url": url}, "prometheus": past and {"url": past}}
    history, state = {"window": 60, "forecast_window": 600}, {"directory": tmp_path / "state"}
    return Exporter(Config(interval=0.1, history=history, forecast=forecast, sources=sources, state=state))


def test_prometheus_is_asked_for_everything_where_the_memory_breaks_the_first_turn(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prometheus = Prometheus()
    with serve(Node()) as url, serve(prometheus) as past:
        first = _turning(tmp_path, url)
        first.turn()
        first.close()
        second = _turning(tmp_path, url, past)
        saved = second.cycle.resume(time.time())
        assert saved is not None
        monkeypatch.setattr(second.cycle._forecaster, "observe", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            second.turn()
        before = len(prometheus.starts)
        for _ in range(3):
            second.turn()
        second.close()
    assert min(prometheus.starts[:before]) > saved - 2
    again = prometheus.starts[before:]
    assert len(again) == before, "asked not once again"
    assert max(again) < saved - 60


def test_nothing_is_saved_while_the_past_is_filled_in(serve: Serve, tmp_path: Path) -> None:
    held = []

    def prometheus(path: str, query: dict[str, str]) -> tuple[int, bytes]:
        held.append(exporter.cycle._keeper._quiet.locked())
        return Prometheus()(path, query)

    with serve(Node()) as url, serve(prometheus) as past:
        exporter = _turning(tmp_path, url, past)
        exporter.turn()
        exporter.turn()
        exporter.close()
    assert held
    assert all(held)


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1000])


def _garbage(file: Path) -> None:
    file.write_bytes(b"\x00 no state \xff" * 500)


def _flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(data)


def _of_another_version(file: Path) -> None:
    with zipfile.ZipFile(file) as old:
        members = {name: old.read(name) for name in old.namelist()}
    about = json.loads(members["about.json"])
    members["about.json"] = json.dumps(about | {"format": about["format"] + 1}).encode()
    with zipfile.ZipFile(file, "w") as new:
        for name, data in members.items():
            new.writestr(name, data)


def _as_it_is(file: Path) -> None:
    pass


@pytest.mark.parametrize(
    ("harm", "horizons", "reason"),
    [
        (_cut, ["2s"], "cut short"),
        (_garbage, ["2s"], "no state at all"),
        (_flip, ["2s"], "checksum"),
        (_of_another_version, ["2s"], "format"),
        (_as_it_is, ["2s", "4s"], "forecast.horizons"),
    ],
    ids=["cut", "garbage", "a flipped bit", "another version", "other horizons"],
)
def test_a_file_that_cannot_be_used_is_set_aside_in_one_line_and_everything_is_learned_anew(
    learned: Callable[..., Any],
    serve: Serve,
    tmp_path: Path,
    harm: Callable[[Path], None],
    horizons: list[str],
    reason: str,
) -> None:
    file, damaged = tmp_path / "state/state.npz", tmp_path / "state/state.npz.damaged"
    with serve(Node()) as url:
        first = learned(url)
        first.wait_for(file.exists, "something is saved")
        assert first.stop() == 0
        damaged.write_bytes(b"an older one")
        harm(file)
        content = file.read_bytes()
        begun = time.time()
        second = learned(url, forecast=FORECAST | {"horizons": horizons})
        second.wait_for(lambda: _past(second, WEB), "it learns")
        assert _past(second, WEB)[0] > begun - 1
        assert damaged.read_bytes() == content
        assert second.stop() == 0
    told = [line for line in second.log.read_text().splitlines() if "warning" in line]
    assert len(told) == 1, told
    assert 'event="state set aside; everything is learned anew"' in told[0]
    assert str(file) in told[0]
    assert reason in told[0]
    assert sorted(path.name for path in file.parent.iterdir()) == ["state.npz", "state.npz.damaged"]
