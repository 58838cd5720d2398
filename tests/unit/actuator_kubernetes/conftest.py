from collections.abc import Iterator

import pytest
import stamina
from apiserver.nodes import Kubelet, ReplicaSets, Scheduler
from apiserver.server import StubApiServer
from kubernetes.client import ApiClient, Configuration
from shop import Shop, opened


@pytest.fixture
def api_server() -> Iterator[StubApiServer]:
    """Objects alone: nothing happens to them but what clients ask."""
    server = StubApiServer()
    server.start()
    with stamina.set_testing(True, attempts=3):
        yield server
    server.stop()


@pytest.fixture
def living(api_server: StubApiServer) -> StubApiServer:
    """The same server with a scheduler, kubelets and the controller of replica sets, which all act at once."""
    store = api_server.store
    store.watchers += [Scheduler(store), Kubelet(store), ReplicaSets(store)]
    return api_server


@pytest.fixture
def client(api_server: StubApiServer) -> Iterator[ApiClient]:
    configuration = Configuration(host=api_server.url)
    configuration.retries = False
    one = ApiClient(configuration)
    yield one
    one.close()


@pytest.fixture
def shop(api_server: StubApiServer) -> Iterator[Shop]:
    """A node with a kubelet, and the platform that acts on its pods."""
    with opened(api_server) as one:
        yield one
