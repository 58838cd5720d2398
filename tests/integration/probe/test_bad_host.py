"""A real probe on hosts that lack something: namespaces and dropped capabilities take it away from it alone."""

import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

TYPES = "/sys/kernel/btf"
TRACEPOINT = b"btf_trace_writeback_dirty_folio"
ROOT_WITHOUT_RIGHTS = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"]
ROOT_WITH_THE_TWO = ["setpriv", "--inh-caps=-all", "--bounding-set=-all,+bpf,+perfmon"]


def nobody(*capabilities: str) -> list[str]:
    """Return what to put before a command to run it as nobody who has no other rights than these."""
    held = ",".join(f"+{name}" for name in capabilities)
    return ["setpriv", "--reuid=65534", "--clear-groups", f"--inh-caps={held}", f"--ambient-caps={held}"]


def without(path: str, then: list[str]) -> list[str]:
    """Return what to put before a command for which ``path`` is an empty directory."""
    return ["unshare", "--mount", "sh", "-c", f'mount -t tmpfs none {path} && exec "$@"', "sh", *then]


HOSTS = {
    "not root": (nobody("dac_read_search"), ["CAP_PERFMON and CAP_BPF", "run it as root"]),
    "root in a user namespace": (["unshare", "--user", "--map-root-user"], ["user namespace", "the host's root"]),
    "no capability": (ROOT_WITHOUT_RIGHTS, ["CAP_PERFMON and CAP_BPF", "--cap-add=BPF"]),
    "no types": (without(TYPES, []), [f"no {TYPES}/vmlinux", "CONFIG_DEBUG_INFO_BTF"]),
}


@dataclass
class Probe:
    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def get(self, path: str) -> requests.Response:
        return requests.get(self.url + path, timeout=5)

    def complaints(self) -> list[str]:
        return re.findall(r"^.* level=(?:warning|error) .*$", self.log.read_text(), re.MULTILINE)

    def one_complaint(self) -> str:
        """Return the only one, after it has had time to try three times."""
        self.wait_for(self.complaints, "the probe says what it lacks")
        time.sleep(3.5)
        (complaint,) = self.complaints()
        return complaint

    def wait_for(self, condition: Callable[[], object], what: str, seconds: float = 20.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"in vain: {what}\n{self.log.read_text()}", pytrace=False)
            time.sleep(0.1)


@pytest.fixture
def start_probe(tmp_path: Path) -> Iterator[Callable[[list[str]], Probe]]:
    """Return what stands before the command → a probe that runs so."""
    started: list[subprocess.Popen[bytes]] = []

    def start(before: list[str]) -> Probe:
        with socket.create_server(("127.0.0.1", 0)) as free:
            address = f"127.0.0.1:{free.getsockname()[1]}"
        log = tmp_path / "probe.log"
        command = [*before, sys.executable, "-m", "exporter.probe", f"--web.listen-address={address}"]
        with log.open("wb") as output:
            started.append(subprocess.Popen(command, stdout=output, stderr=output))
        return Probe(started[-1], f"http://{address}", log)

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.parametrize(("before", "words"), HOSTS.values(), ids=HOSTS)
def test_what_a_host_lacks_is_said_once_with_the_remedy_and_the_rest_is_served(
    start_probe: Callable[[list[str]], Probe], before: list[str], words: list[str]
) -> None:
    probe = start_probe(before)
    complaint = probe.one_complaint()
    assert all(word in complaint for word in words), complaint
    text = probe.get("/metrics").text
    assert "\ncpp_probe_up 0\n" in text
    assert "\ncpp_probe_restarts_total 0\n" in text
    assert "# TYPE container_pressure_cpu_waiting_seconds_total counter\n" in text
    assert (probe.get("/-/healthy").status_code, probe.get("/-/ready").status_code) == (200, 503)


def test_a_tracepoint_that_the_kernel_lacks_is_named(start_probe: Callable[[list[str]], Probe], tmp_path: Path) -> None:
    types = Path(TYPES, "vmlinux").read_bytes()
    assert types.count(TRACEPOINT) == 1
    (tmp_path / "older").write_bytes(types.replace(TRACEPOINT, TRACEPOINT[::-1]))
    older = f'mount --bind {tmp_path / "older"} {TYPES}/vmlinux && exec "$@"'
    probe = start_probe(["unshare", "--mount", "sh", "-c", older, "sh"])
    complaint = probe.one_complaint()
    assert "no tracepoint writeback_dirty_folio; the probe needs Linux 5.18" in complaint
    assert "\ncpp_probe_up 0\n" in probe.get("/metrics").text


def test_counting_begins_when_what_was_missing_is_there_and_needs_no_more_than_two_capabilities(
    start_probe: Callable[[list[str]], Probe], tmp_path: Path
) -> None:
    hidden = tmp_path / "hidden"
    hidden.touch()
    uncover = f"while [ -e {hidden} ]; do sleep 0.1; done; umount {TYPES}"
    script = f'mount -t tmpfs none {TYPES} && ({uncover}) & sleep 0.5; exec "$@"'
    probe = start_probe(["unshare", "--mount", "sh", "-c", script, "sh", *ROOT_WITH_THE_TWO])
    probe.one_complaint()
    hidden.unlink()
    probe.wait_for(lambda: probe.get("/-/ready").ok, "the probe counts", 30)
    assert len(probe.complaints()) == 1


def test_nobody_with_the_two_capabilities_counts_also_without_tracefs(
    start_probe: Callable[[list[str]], Probe],
) -> None:
    able = nobody("bpf", "perfmon", "dac_read_search")  # the last one to read this project wherever it is
    probe = start_probe(without("/sys/kernel/tracing", able))
    probe.wait_for(lambda: probe.log.exists() and "serving" in probe.log.read_text(), "the probe serves")
    probe.wait_for(lambda: probe.get("/-/ready").ok, "the probe counts")
    assert probe.complaints() == []
