"""Whether a replacement would be steered is known before anything is evicted, from real certificates."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from apiserver.server import StubApiServer
from kubernetes.client import ApiClient
from prometheus_client import CollectorRegistry
from steering_webhook import HOST, configuration, issue

from actuator.certificates import doubt, validity
from actuator.config import AdmissionConfig
from actuator.metrics import show_expiry
from actuator.platforms.errors import PlatformError
from actuator.platforms.kubernetes.cluster_api import ClusterApi
from actuator.platforms.kubernetes.steering_check import SteeringCheck
from deploy.cluster.pki import Authority

WEEK = 7 * 86_400.0
METRIC = "cpp_steering_certificate_expiry_timestamp_seconds"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    one = Authority(tmp_path_factory.mktemp("authority"))
    one.found()
    return one


@pytest.fixture(scope="module")
def section(authority: Authority) -> AdmissionConfig:
    return AdmissionConfig.model_validate(issue(authority))


@pytest.fixture
def check(client: ApiClient, section: AdmissionConfig) -> Callable[..., str]:
    """Ask the stub about a section, after some time."""

    def run(later: float = 0.0, of: AdmissionConfig | None = section) -> str:
        return SteeringCheck(ClusterApi(client, 5.0), of, lambda: time.time() + later)()

    return run


def test_a_certificate_that_the_clusters_authority_vouches_for_is_right(
    api_server: StubApiServer, authority: Authority, check: Callable[..., str]
) -> None:
    api_server.add("mutatingwebhookconfigurations", configuration(authority, f"{HOST}:443"))
    assert check() == ""
    assert check(later=WEEK - 660) == ""


@pytest.mark.parametrize(
    ("later", "said"), [(WEEK - 540, "s left and ends on"), (WEEK + 60, "ended on"), (-WEEK, "begins on")]
)
def test_a_certificate_that_is_not_in_force_for_the_time_of_a_move_is_named_with_the_remedy(
    api_server: StubApiServer, authority: Authority, check: Callable[..., str], later: float, said: str
) -> None:
    api_server.add("mutatingwebhookconfigurations", configuration(authority, f"{HOST}:443"))
    answer = check(later=later)
    assert said in answer
    assert "steer.crt" in answer
    assert ("helm upgrade" in answer) == (later > 0)


def test_a_certificate_that_has_run_out_is_named_and_no_client_would_take_it(
    api_server: StubApiServer, check: Callable[..., str], tmp_path: Path
) -> None:
    over = Authority(tmp_path)
    over.found()
    section = AdmissionConfig.model_validate(issue(over, days=0))
    api_server.add("mutatingwebhookconfigurations", configuration(over, f"{HOST}:443"))
    assert "ended on" in check(of=section)
    assert "expired" in doubt(section, over.certificate.read_text(), HOST)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"url": "https://elsewhere.example/mutate"}, "elsewhere.example"),
        ({"url": "", "service": {"name": "cpp-steer", "namespace": "cpp-system"}}, "cpp-steer.cpp-system.svc"),
        ({"caBundle": ""}, "certificate"),
        ({"caBundle": "bm9uc2Vuc2U="}, "does not contain a certificate"),
        ({"caBundle": "!"}, "makes no sense"),
    ],
)
def test_what_the_api_server_would_not_trust_is_named(
    api_server: StubApiServer, authority: Authority, check: Callable[..., str], change: dict[str, Any], said: str
) -> None:
    document = configuration(authority, f"{HOST}:443")
    document["webhooks"][0]["clientConfig"] |= change
    api_server.add("mutatingwebhookconfigurations", document)
    answer = check()
    assert said in answer
    assert "would not trust" in answer


def test_a_certificate_of_another_authority_is_not_trusted(
    api_server: StubApiServer, check: Callable[..., str], tmp_path: Path
) -> None:
    other = Authority(tmp_path)
    other.found()
    api_server.add("mutatingwebhookconfigurations", configuration(other, f"{HOST}:443"))
    assert "would not trust" in check()


def test_one_webhook_of_several_that_leads_here_is_enough(
    api_server: StubApiServer, authority: Authority, check: Callable[..., str]
) -> None:
    document = configuration(authority, "elsewhere.example:443", f"{HOST}:443")
    api_server.add("mutatingwebhookconfigurations", document)
    assert check() == ""


def test_a_cluster_without_the_webhook_and_an_actuator_without_admission_steer_nothing(
    api_server: StubApiServer, authority: Authority, check: Callable[..., str]
) -> None:
    assert "no MutatingWebhookConfiguration cpp-steer" in check()
    api_server.add("mutatingwebhookconfigurations", configuration(authority))
    assert "no webhook" in check()
    assert "steering.enabled" in check(of=None)


def test_files_that_no_server_could_use_are_named(check: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "bad.crt").write_text("nothing")
    bad = AdmissionConfig(cert_file=tmp_path / "bad.crt", key_file=tmp_path / "bad.key")
    assert "bad.crt" in check(of=bad)


def test_an_api_server_that_does_not_answer_is_no_verdict(api_server: StubApiServer, check: Callable[..., str]) -> None:
    api_server.stop()
    with pytest.raises(PlatformError):
        check()


def test_when_the_certificate_ends_is_served_also_when_it_has(
    authority: Authority, section: AdmissionConfig, tmp_path: Path
) -> None:
    registry = CollectorRegistry()
    show_expiry(registry, section)
    assert registry.get_sample_value(METRIC) == pytest.approx(time.time() + WEEK, abs=60)
    over = Authority(tmp_path)
    over.found()
    ended = validity(AdmissionConfig.model_validate(issue(over, days=0)))
    assert ended.ends == pytest.approx(time.time(), abs=30)


def test_a_certificate_that_cannot_be_read_has_no_end(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    show_expiry(registry, AdmissionConfig(cert_file=tmp_path / "none.crt", key_file=tmp_path / "none.key"))
    value = registry.get_sample_value(METRIC)
    assert value is not None
    assert math.isnan(value)
