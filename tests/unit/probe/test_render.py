import subprocess

import pytest

from exporter.probe.pairs import OTHER
from exporter.probe.probe import ContainerState, Health
from exporter.probe.render import Renderer
from exporter.probe.syscalls import SyscallNames

PATH = "/docker/" + "ab" * 32


@pytest.fixture
def text() -> str:
    counts = {
        ("calls", 110): 7,
        ("created", 0): 3,
        ("written", 0): 8,
        ("connected", 80): 2,
        ("connected", 8080): 1,
        ("connected", 0): 4,
    }
    state = ContainerState(PATH, counts, {1: 24, OTHER: 8}, {("cpu", "some"): 1.5}, read_at=11.25)
    return Renderer(SyscallNames("x86_64")).render([state], Health(True, 10.5, 9.5, 2, 1))


def test_promtool_finds_nothing_to_say(text: str) -> None:
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize(
    "line",
    [
        f'container_syscalls_total{{id="{PATH}",syscall="getppid"}} 7 10500',
        f'container_thread_creations_total{{id="{PATH}"}} 3 10500',
        f'container_block_write_bytes_total{{id="{PATH}"}} 4096 10500',
        f'container_connections_total{{id="{PATH}",protocol="http"}} 3 10500',
        f'container_connections_total{{id="{PATH}",protocol="other"}} 4 10500',
        f'container_pressure_cpu_waiting_seconds_total{{id="{PATH}"}} 1.500000 11250',
        f'container_syscall_pairs_total{{id="{PATH}",from="read",to="write"}} 24 9500',
        f'container_syscall_pairs_total{{id="{PATH}",from="other",to="other"}} 8 9500',
        "cpp_probe_up 1",
        "cpp_probe_lost_events_total 2",
        "cpp_probe_restarts_total 1",
        "cpp_probe_last_print_timestamp_seconds 10.500",
    ],
)
def test_a_snapshot_is_written_with_the_time_of_its_reading(text: str, line: str) -> None:
    assert line in text.splitlines()


def test_what_never_happened_is_zero_where_the_labels_are_known(text: str) -> None:
    assert f'container_file_opens_total{{id="{PATH}"}} 0 10500' in text
    assert f'container_connections_total{{id="{PATH}",protocol="redis"}} 0 10500' in text
    assert text.count("container_syscalls_total{") == 1


def test_a_resource_without_pressure_accounting_has_no_series(text: str) -> None:
    assert "container_pressure_io_waiting_seconds_total{" not in text


def test_before_the_first_print_there_are_no_counts() -> None:
    state = ContainerState(PATH, {}, {}, {("cpu", "some"): 1.5}, read_at=11.25)
    text = Renderer(SyscallNames("x86_64")).render([state], Health(False, None, None, 0, 0))
    assert "cpp_probe_up 0" in text
    assert "container_syscalls_total" not in text
    assert "container_pressure_cpu_waiting_seconds_total{" in text


def test_before_pairs_were_read_there_is_no_such_family() -> None:
    state = ContainerState(PATH, {("calls", 0): 1}, {}, {}, read_at=11.25)
    text = Renderer(SyscallNames("x86_64")).render([state], Health(True, 10.5, None, 0, 0))
    assert "container_syscalls_total" in text
    assert "container_syscall_pairs_total" not in text
