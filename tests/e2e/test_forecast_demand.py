"""The forecast of real containers under a real CPU quota: what they want, not what the quota lets through."""

import io
import tarfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from deploy.demo.containers import docker

Stack = Any

# Two bursts a column of the forecast's grid: with one, some columns see two halves and some none of it.
BUSY, PERIOD = 0.3, 1.0
DEMAND = BUSY / PERIOD
CAP = 0.1
HORIZONS = ("10s", "20s", "30s")
_LEARN = 50.0
_WATCH = 30.0
_WATCHES = 4
"""Young forecasts still wander: after so many watches in a row, each looked at alone, they must be right."""
# Each burst ends by the clock, whatever CPU it got: what a throttle held back is lost, not owed.
_BURSTS = "while :; do (while :; do :; done) & sleep {busy}; kill $!; wait; sleep {idle}; done"


@pytest.fixture(scope="module")
def image(_session_stack: Stack) -> str:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(Path("/bin/busybox").resolve(), "bin/busybox")
        for name in ("sh", "sleep"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    run = _session_stack.parts.run
    docker("import", "--change", f"LABEL cpp.run={run}", "-", f"{run}/bursts", stdin=archive.getvalue())
    return f"{run}/bursts"


def _start(stack: Stack, image: str, name: str, busy: float, *options: str) -> str:
    """Start bursts of so many seconds each period in a container that the actuator leaves alone."""
    script = _BURSTS.format(busy=busy, idle=PERIOD - busy)
    labels = ("--label", f"cpp.run={stack.parts.run}", "--label", "cpp.opt-out")
    named = ("--name", stack.full_name(name), "--network", "none", *labels)
    return docker("run", "--detach", *named, *options, image, "/bin/sh", "-c", script).strip()


class Watched:
    """What was published of some containers over a while: use, throttling and forecasts."""

    def __init__(self, stack: Stack, containers: dict[str, str]) -> None:
        self._stack = stack
        self._names = {container: name for name, container in containers.items()}
        self._values: dict[tuple[str, ...], list[float]] = defaultdict(list)

    def watch(self, seconds: float) -> None:
        """Forget what was seen and look anew."""
        self._values.clear()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._look()
            time.sleep(1.0)

    def expected(self, name: str) -> tuple[float, float]:
        """Return the least and the most that the median forecast of a container may be."""
        if name == "capped":
            return max(0.7 * self.use("free"), 1.5 * CAP), 1.3 * DEMAND
        margin = max(0.3 * self.use(name), 0.03)
        return self.use(name) - margin, self.use(name) + margin

    def settled(self) -> bool:
        ranges = {name: self.expected(name) for name in self._names.values()}
        return all(
            least <= self.forecast(name, horizon, "0.5") <= most
            for name, (least, most) in ranges.items()
            for horizon in HORIZONS
        )

    def forecast(self, name: str, horizon: str, level: str) -> float:
        return self._middle("cpp_cpu_forecast_cores", name, horizon, level)

    def use(self, name: str) -> float:
        return float(np.mean(self._values["cpp_cpu_usage_cores", name, "", ""]))

    def throttled(self, name: str) -> float:
        return self._middle("cpp_cpu_throttled_ratio", name, "", "")

    def _middle(self, *key: str) -> float:
        return float(np.median(self._values[key])) if self._values[key] else float("nan")

    def _look(self) -> None:
        text = requests.get(f"{self._stack.exporter_url}/metrics", timeout=10).text
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                name = self._names.get(sample.labels.get("container_id", ""))
                if name is not None:
                    key = (sample.name, name, sample.labels.get("horizon", ""), sample.labels.get("level", ""))
                    self._values[key].append(sample.value)


@pytest.fixture(scope="module")
def watched(_session_stack: Stack, image: str) -> Iterator[Watched]:
    stack = _session_stack
    started = {
        "capped": _start(stack, image, "capped", BUSY, "--cpus", str(CAP)),
        "free": _start(stack, image, "free", BUSY),
        "modest": _start(stack, image, "modest", CAP * PERIOD),
    }
    time.sleep(_LEARN)
    found = Watched(stack, started)
    for _ in range(_WATCHES):
        found.watch(_WATCH)
        if found.settled():
            break
    yield found
    for name in started:
        stack.remove_container(name)


def test_the_quota_binds_on_the_one_container_alone(watched: Watched) -> None:
    assert watched.throttled("capped") > 0.5
    assert watched.throttled("free") == watched.throttled("modest") == 0
    assert watched.use("capped") < CAP
    assert watched.use("capped") < 0.6 * watched.use("free")
    # Less where others of the machine want its CPUs too, which is no quota.
    assert watched.use("free") < 1.2 * DEMAND


@pytest.mark.parametrize("horizon", HORIZONS)
def test_a_demand_behind_a_quota_is_forecast_as_without_one_and_not_as_the_quota(
    watched: Watched, horizon: str
) -> None:
    least, most = watched.expected("capped")
    forecast = watched.forecast("capped", horizon, "0.5")
    assert least <= forecast <= most
    assert watched.forecast("capped", horizon, "0.9") >= forecast


@pytest.mark.parametrize("horizon", HORIZONS)
@pytest.mark.parametrize("name", ["free", "modest"])
def test_what_no_quota_holds_back_is_forecast_as_it_is_used(watched: Watched, name: str, horizon: str) -> None:
    least, most = watched.expected(name)
    assert least <= watched.forecast(name, horizon, "0.5") <= most


def test_a_use_as_small_as_the_quota_is_not_taken_for_a_demand_behind_one(watched: Watched) -> None:
    assert watched.use("modest") < 1.2 * CAP
    assert max(watched.forecast("modest", horizon, "0.5") for horizon in HORIZONS) < 1.5 * CAP
