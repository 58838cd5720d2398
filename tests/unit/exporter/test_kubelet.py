import http.server
import json
import threading
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from exporter.config import Config
from exporter.run import Exporter
from exporter.sections import KubeletConfig
from exporter.sources.exposition import Samples, parse
from exporter.sources.families import CADVISOR_WANTED
from exporter.sources.kubelet import Kubelet

START = 1_800_000_000.0


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        status, body = self.server.answers[self.path]  # type: ignore[attr-defined]
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Stub(http.server.ThreadingHTTPServer):
    """A kubelet that says what it is told to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []
        self.answers = {"/pods": (200, pods("a")), "/metrics/cadvisor": (200, usage("a"))}

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"


def pods(*names: str) -> bytes:
    return json.dumps(
        {"items": [{"metadata": {"name": name, "namespace": "shop"}, "spec": {"containers": []}} for name in names]}
    ).encode()


def usage(*names: str) -> bytes:
    rows = (
        f'container_cpu_usage_seconds_total{{container="main",id="/kubepods/pod{name}/{name * 64}",'
        f'namespace="shop",pod="{name}"}} 1 {START * 1000:.0f}\n'
        for name in names
    )
    return b"# TYPE container_cpu_usage_seconds_total counter\n" + "".join(rows).encode()


@pytest.fixture
def stub() -> Iterator[Stub]:
    with Stub() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def kubelet(stub: Stub) -> Iterator[Kubelet]:
    one = Kubelet(KubeletConfig(url=stub.url("/pods"), refresh=30))
    yield one
    one.source.close()


def listing(*names: str) -> Samples:
    return parse(usage(*names), CADVISOR_WANTED)


def test_the_pods_are_read_again_only_when_containers_come_or_go_or_after_a_while(stub: Stub, kubelet: Kubelet) -> None:
    reads = []
    for seconds, listed in ((0, "a"), (15, "a"), (29, "a"), (30, "a"), (35, "ab"), (40, "ab"), (45, "b")):
        found = kubelet.read(listing(*listed), START + seconds)
        assert found is not None
        assert set(found) == {("shop", "a")}
        reads.append(len(stub.asked))
    assert reads == [1, 1, 1, 2, 3, 3, 4]


@pytest.mark.parametrize("answer", [(401, b"Unauthorized"), (403, b"Forbidden"), (503, b""), (200, pods("a")[:40])])
def test_a_kubelet_that_does_not_answer_is_asked_again_and_what_it_said_before_still_counts(
    stub: Stub, kubelet: Kubelet, answer: tuple[int, bytes]
) -> None:
    kubelet.read(listing("a"), START)
    good, stub.answers["/pods"] = stub.answers["/pods"], answer
    with capture_logs() as logs:
        for seconds in (30, 31, 32):
            assert set(kubelet.read(listing("a"), START + seconds) or ()) == {("shop", "a")}
    assert (kubelet.source.up, kubelet.source.errors, kubelet.answered) == (False, 3, START)
    assert [entry["event"] for entry in logs] == ["source is down"]
    stub.answers["/pods"] = good
    kubelet.read(listing("a"), START + 33)
    assert (kubelet.source.up, kubelet.answered) == (True, START + 33)


@pytest.fixture
def exporter(stub: Stub, ticks: Iterator[float]) -> Iterator[Exporter]:
    cadvisor, kubelet = ({"url": stub.url(path)} for path in ("/metrics/cadvisor", "/pods"))
    sources = {"cadvisor": cadvisor, "probe": None, "kubelet": kubelet}
    one = Exporter(Config(node="n1", sources=sources), clock=lambda: next(ticks))
    yield one
    one.close()


@pytest.fixture
def ticks() -> Iterator[float]:
    return (START + 15 * tick for tick in range(100))


def ups(exporter: Exporter) -> dict[str, bool]:
    state = exporter.cycle.state
    return {} if state is None else {source.name: source.up for source in state.sources}


@pytest.mark.parametrize("silent", ["/pods", "/metrics/cadvisor"])
def test_one_source_being_down_does_not_hurt_the_other(stub: Stub, exporter: Exporter, silent: str) -> None:
    exporter.turn()
    assert ups(exporter) == {"cadvisor": True, "kubelet": True}
    stub.answers[silent] = (403, b"Forbidden")
    exporter.turn()
    exporter.turn()
    assert ups(exporter) == {"cadvisor": silent != "/metrics/cadvisor", "kubelet": silent != "/pods"}
    state = exporter.cycle.state
    assert state is not None
    assert [who.workload for who in state.snapshot.identities] == ["shop/a/main"]


def test_without_a_kubelet_nobody_asks_for_pods(stub: Stub, ticks: Iterator[float]) -> None:
    config = Config(sources={"cadvisor": {"url": stub.url("/metrics/cadvisor")}, "probe": None})
    exporter = Exporter(config, clock=lambda: next(ticks))
    exporter.turn()
    exporter.close()
    assert stub.asked == ["/metrics/cadvisor"]
    assert ups(exporter) == {"cadvisor": True}
