import contextlib
import json
import re
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema

WEB = "4f" * 32
SCHEMA = Path(__file__).parents[3] / "docs/profile.schema.json"

Run = Callable[..., Any]
Serve = Callable[..., contextlib.AbstractContextManager[str]]


def _cadvisor(path: str, query: dict[str, str]) -> tuple[int, bytes]:
    now = time.time()
    who = f'{{id="/docker/{WEB}",image="shop:1",name="web"}}'
    lines = [
        "# TYPE container_cpu_usage_seconds_total counter",
        f"container_cpu_usage_seconds_total{who} {0.25 * now:.6f} {now * 1000:.0f}",
        "# TYPE container_memory_working_set_bytes gauge",
        f"container_memory_working_set_bytes{who} 1048576 {now * 1000:.0f}",
    ]
    return 200, "\n".join(lines).encode() + b"\n"


def _probe(path: str, query: dict[str, str]) -> tuple[int, bytes]:
    now = time.time()
    lines = [
        "# TYPE container_file_opens_total counter",
        f'container_file_opens_total{{id="/docker/{WEB}"}} {8 * now:.3f} {now * 1000:.0f}',
    ]
    return 200, "\n".join(lines).encode() + b"\n"


def _value(text: str, pattern: str) -> float | None:
    found = re.search(rf"^{pattern}[^\n]* (\S+)$", text, re.MULTILINE)
    return None if found is None else float(found[1])


def _sources(cadvisor: str, probe: str) -> dict[str, object]:
    return {"cadvisor": {"url": cadvisor, "timeout": "1s"}, "probe": {"url": probe, "timeout": "1s"}}


def test_the_exporter_serves_what_its_sources_say_and_stops_when_asked(run_exporter: Run, serve: Serve) -> None:
    with serve(_cadvisor) as cadvisor, serve(_probe) as probe:
        exporter = run_exporter(_sources(cadvisor, probe))
        exporter.wait_for(lambda: exporter.get("/-/ready").ok, "the exporter is ready")
        exporter.wait_for(lambda: _value(exporter.get("/metrics").text, "cpp_cpu_usage_cores"), "a rate is served")
        text = exporter.get("/metrics").text
        assert 0.2 < (_value(text, "cpp_cpu_usage_cores") or 0) < 0.3
        assert 4 < (_value(text, "cpp_file_opens_per_second") or 0) < 12
        assert _value(text, "cpp_memory_working_set_bytes") == 1048576
        assert exporter.get("/profiles").json() == [{"name": "web", "container_id": WEB}]
        for known in (WEB, WEB[:12]):
            jsonschema.validate(exporter.get(f"/profiles/{known}").json(), json.loads(SCHEMA.read_text()))
        for unknown in ("web", WEB[:11], "0" * 64):
            assert exporter.get(f"/profiles/{unknown}").status_code == 404
        assert exporter.stop() == 0


def test_each_source_that_falls_is_told_and_the_others_series_live_on_until_it_is_back(
    run_exporter: Run, serve: Serve, free_port: Callable[[], int]
) -> None:
    port = free_port()
    with serve(_probe) as probe:
        exporter = run_exporter(_sources(f"http://127.0.0.1:{port}/metrics", probe))

        def up(source: str, value: float) -> bool:
            return _value(exporter.get("/metrics").text, f'cpp_up{{source="{source}"}}') == value

        exporter.wait_for(lambda: up("cadvisor", 0) and up("probe", 1), "cAdvisor is down from the start")
        exporter.wait_for(
            lambda: _value(exporter.get("/metrics").text, "cpp_file_opens_per_second"), "the probe's rate"
        )
        with serve(_cadvisor, port):
            exporter.wait_for(lambda: up("cadvisor", 1), "cAdvisor is back")
            exporter.wait_for(lambda: _value(exporter.get("/metrics").text, "cpp_cpu_usage_cores"), "its rate")
        exporter.wait_for(lambda: up("cadvisor", 0), "cAdvisor is down again")
        time.sleep(2)
        text = exporter.get("/metrics").text
        assert _value(text, "cpp_cpu_usage_cores") is None
        assert _value(text, 'cpp_file_opens_per_second[^\n]*container="web"') is not None
        assert (_value(text, 'cpp_source_errors_total{source="cadvisor"}') or 0) > 3
        assert exporter.stop() == 0
    told = re.findall(r'event="source is (\w+)"[^\n]*source=(\w+)', exporter.log.read_text())
    assert sorted(told) == sorted([("down", "cadvisor"), ("up", "probe"), ("up", "cadvisor"), ("down", "cadvisor")])


def test_a_probe_that_cannot_count_is_told_and_all_else_is_served(run_exporter: Run, serve: Serve) -> None:
    def idle(path: str, query: dict[str, str]) -> tuple[int, bytes]:
        return 200, b"# TYPE cpp_probe_up gauge\ncpp_probe_up 0\n"

    with serve(_cadvisor) as cadvisor, serve(idle) as probe:
        exporter = run_exporter(_sources(cadvisor, probe))
        exporter.wait_for(lambda: _value(exporter.get("/metrics").text, "cpp_cpu_usage_cores"), "a rate is served")
        text = exporter.get("/metrics").text
        assert _value(text, 'cpp_up{source="probe"}') == 0
        assert _value(text, 'cpp_up{source="cadvisor"}') == 1
        assert exporter.stop() == 0
    (told,) = re.findall(r'event="source is down".*', exporter.log.read_text())
    assert "cpp_probe_up 0" in told


def test_before_the_first_cycle_the_exporter_is_alive_and_not_ready(run_exporter: Run, serve: Serve) -> None:
    def slow(path: str, query: dict[str, str]) -> tuple[int, bytes]:
        time.sleep(0.9)
        return _cadvisor(path, query)

    with serve(slow) as cadvisor:
        exporter = run_exporter({"cadvisor": {"url": cadvisor, "timeout": "3s"}, "probe": None})
        exporter.wait_for(lambda: exporter.get("/-/healthy").ok, "the exporter is alive")
        assert exporter.get("/-/ready").status_code == 503
        exporter.wait_for(lambda: exporter.get("/-/ready").ok, "the exporter is ready")


def test_a_port_that_is_taken_is_said_with_the_flag_that_moves_it(run_exporter: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        exporter = run_exporter({"probe": None}, port)
        assert exporter.process.wait(30) == 1
    said = exporter.log.read_text()
    assert f"127.0.0.1:{port}" in said
    assert "--web.listen-address" in said
    assert said.count("\n") == 1
