"""The Helm chart: what it makes, what it lets nobody do, and how it refuses bad values."""

import base64
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from actuator.config import load_config as load_actuator
from deploy.kubernetes.chart import CHART, run_helm
from deploy.setup.shell import SetupError
from deploy.setup.stamps import ROOT
from exporter.config import load_config as load_exporter

Objects = dict[tuple[str, str, str], dict[str, Any]]
HOME = "cpp-system"


def of_kind(objects: Objects, kind: str) -> Iterator[dict[str, Any]]:
    return (each for (each_kind, _, _), each in objects.items() if each_kind == kind)


def pods(objects: Objects) -> dict[str, dict[str, Any]]:
    owners = (*of_kind(objects, "DaemonSet"), *of_kind(objects, "Deployment"))
    return {owner["metadata"]["name"]: owner["spec"]["template"]["spec"] for owner in owners}


def test_the_chart_has_no_fault_that_helm_finds() -> None:
    run_helm("lint", "--strict", CHART)


def test_nothing_is_changed_in_the_cluster_until_it_is_switched_on(shipped: Objects) -> None:
    config = yaml.safe_load(shipped["ConfigMap", HOME, "cpp-actuator"]["data"]["actuator.yml"])
    assert config["dry_run"] is True
    assert not [name for kind, _, name in shipped if kind.endswith("Binding") and name == "cpp-actuator-acts"]


def test_the_actuator_may_act_in_the_named_namespaces_only(chart: Callable[..., Objects]) -> None:
    made = chart('actuator.actsIn=["shop","search"]')
    bindings = {(kind, where) for kind, where, name in made if kind.endswith("Binding") and name == "cpp-actuator-acts"}
    assert bindings == {("RoleBinding", "shop"), ("RoleBinding", "search")}
    everywhere = chart('actuator.actsIn=["*"]')
    assert ("ClusterRoleBinding", "", "cpp-actuator-acts") in everywhere


def test_all_pods_but_the_probes_keep_to_the_restricted_profile(shipped: Objects) -> None:
    for name, spec in pods(shipped).items():
        if name == "cpp-probe":
            continue
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
        assert not [volume for volume in spec["volumes"] if "hostPath" in volume]
        for container in spec["containers"]:
            rights = container["securityContext"]
            assert rights["allowPrivilegeEscalation"] is False
            assert rights["capabilities"] == {"drop": ["ALL"]}
            assert rights["readOnlyRootFilesystem"] is True


def test_the_probe_has_two_capabilities_and_a_namespace_of_its_own(shipped: Objects) -> None:
    assert shipped["Namespace", "", "cpp-probe"]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == (
        "privileged"
    )
    spec = shipped["DaemonSet", "cpp-probe", "cpp-probe"]["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["BPF", "PERFMON"]}
    assert "privileged" not in container["securityContext"]
    assert spec["automountServiceAccountToken"] is False
    of_host = {volume["name"] for volume in spec["volumes"] if "hostPath" in volume}
    assert of_host == {"cgroups"}
    assert all(mount["readOnly"] for mount in container["volumeMounts"] if mount["name"] in of_host)


def test_without_the_probe_its_namespace_is_not_made(chart: Callable[..., Objects]) -> None:
    made = chart("probe.enabled=false")
    assert not [key for key in made if "probe" in "".join(key)]
    exporter = yaml.safe_load(made["ConfigMap", HOME, "cpp-exporter"]["data"]["exporter.yml"])
    assert exporter["sources"]["probe"] is None


def test_no_right_is_wider_than_named(shipped: Objects) -> None:
    roles = [*of_kind(shipped, "ClusterRole"), *of_kind(shipped, "Role")]
    rules = [rule for role in roles for rule in role["rules"]]
    assert len(rules) > 5
    for rule in rules:
        assert "*" not in (*rule["apiGroups"], *rule["resources"], *rule["verbs"])
        assert not {"secrets", "nodes/proxy", "pods/exec"} & set(rule["resources"])


def test_the_exporter_may_only_look_at_kubelets(shipped: Objects) -> None:
    assert shipped["ClusterRole", "", "cpp-exporter"]["rules"] == [
        {"apiGroups": [""], "resources": ["nodes/metrics", "nodes/pods"], "verbs": ["get"]}
    ]


def test_the_programs_accept_their_configuration(
    shipped: Objects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NODE_NAME", "n1")
    monkeypatch.setenv("NODE_IP", "10.0.0.1")
    for name in ("exporter", "actuator"):
        (tmp_path / name).write_text(shipped["ConfigMap", HOME, f"cpp-{name}"]["data"][f"{name}.yml"])
    exporter = load_exporter(tmp_path / "exporter")
    assert exporter.node == "n1"
    assert exporter.sources.cadvisor.url == "https://10.0.0.1:10250/metrics/cadvisor"
    actuator = load_actuator(tmp_path / "actuator")
    assert (actuator.platform.kind, actuator.dry_run) == ("kubernetes", True)
    assert pods(shipped)["cpp-actuator"]["terminationGracePeriodSeconds"] >= 1.5 * actuator.platform.resize_patience


def test_keys_of_a_user_are_merged_into_the_configuration(chart: Callable[..., Objects]) -> None:
    made = chart('actuator.config={"limits":{"cooldown":"2m"},"platform":{"timeout":"3s"}}')
    config = yaml.safe_load(made["ConfigMap", HOME, "cpp-actuator"]["data"]["actuator.yml"])
    assert config["limits"] == {"cooldown": "2m"}
    assert config["platform"]["timeout"] == "3s"
    assert config["platform"]["kind"] == "kubernetes"


def test_a_changed_configuration_restarts_its_pods(chart: Callable[..., Objects], shipped: Objects) -> None:
    changed = chart("actuator.dryRun=false")
    for kind, name, differs in (("Deployment", "cpp-actuator", True), ("DaemonSet", "cpp-exporter", False)):
        before, after = (made[kind, HOME, name]["spec"]["template"]["metadata"] for made in (shipped, changed))
        assert (before["annotations"] != after["annotations"]) is differs


def test_placeholders_yield_to_every_other_pod(shipped: Objects) -> None:
    made = shipped["PriorityClass", "", "cpp-shadow"]
    assert (made["value"], made["preemptionPolicy"], made["globalDefault"]) == (-10, "Never", False)


def test_a_pod_is_made_without_the_webhooks_answer_and_only_where_the_namespace_opted_in(shipped: Objects) -> None:
    (webhook,) = shipped["MutatingWebhookConfiguration", "", "cpp-steer"]["webhooks"]
    assert webhook["failurePolicy"] == "Ignore"
    assert webhook["sideEffects"] == "NoneOnDryRun"
    assert webhook["namespaceSelector"]["matchLabels"] == {"cpp/steer": "enabled"}
    (never,) = webhook["namespaceSelector"]["matchExpressions"]
    assert never["operator"] == "NotIn"
    assert set(never["values"]) == {"kube-system", HOME}


def test_the_webhooks_certificate_is_signed_by_what_the_api_server_trusts(shipped: Objects, tmp_path: Path) -> None:
    (webhook,) = shipped["MutatingWebhookConfiguration", "", "cpp-steer"]["webhooks"]
    secret = shipped["Secret", HOME, "cpp-steer"]["data"]
    assert webhook["clientConfig"]["caBundle"] == secret["ca.crt"]
    for name, data in secret.items():
        (tmp_path / name).write_bytes(base64.b64decode(data))
    name = ["-purpose", "sslserver", "-verify_hostname", f"cpp-steer.{HOME}.svc"]
    verify = ["openssl", "verify", "-CAfile", str(tmp_path / "ca.crt"), *name, str(tmp_path / "tls.crt")]
    done = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_both_services_lead_to_the_leader(shipped: Objects) -> None:
    for name in ("cpp-actuator", "cpp-steer"):
        assert shipped["Service", HOME, name]["spec"]["selector"]["cpp/leader"] == "true"


def test_services_select_pods_that_exist(shipped: Objects) -> None:
    owners = (*of_kind(shipped, "DaemonSet"), *of_kind(shipped, "Deployment"))
    labels = [owner["spec"]["template"]["metadata"]["labels"].items() for owner in owners]
    for service in of_kind(shipped, "Service"):
        wanted = {key: value for key, value in service["spec"]["selector"].items() if key != "cpp/leader"}
        assert any(wanted.items() <= each for each in labels), service["metadata"]["name"]


def test_jobs_have_the_names_that_the_health_alerts_ask_for(shipped: Objects) -> None:
    alerts = (ROOT / "rules/alerts-health.yml").read_text()
    for monitor in of_kind(shipped, "ServiceMonitor"):
        name = monitor["metadata"]["name"]
        assert f'job="{name}"' in alerts
        assert shipped["Service", HOME, name]["spec"]["ports"][0]["name"] == monitor["spec"]["endpoints"][0]["port"]
        assert all(endpoint["honorLabels"] for endpoint in monitor["spec"]["endpoints"])


def test_the_rules_are_those_of_the_rules_folder(shipped: Objects) -> None:
    files = [ROOT / "rules/recording.yml", *(ROOT / "rules").glob("alerts-*.yml")]
    made = {rule["metadata"]["name"]: rule["spec"] for rule in of_kind(shipped, "PrometheusRule")}
    assert made == {f"cpp-{file.stem}": yaml.safe_load(file.read_text()) for file in files}


def test_alerts_take_the_way_of_the_shipped_alertmanager_configuration(shipped: Objects) -> None:
    routes = yaml.safe_load((ROOT / "rules/alertmanager.yml").read_text())["route"]["routes"]
    wanted = {(route["matchers"][0], route["repeat_interval"]) for route in routes if "cpp" in route["receiver"]}
    made = set()
    for config in of_kind(shipped, "AlertmanagerConfig"):
        route = config["spec"]["route"]
        assert (route["groupBy"], route["groupWait"], route["groupInterval"]) == (["..."], "0s", "15s")
        (match,) = route["matchers"]
        value = f'"{match["value"]}"' if match["matchType"] == "=~" else match["value"]
        made.add((f"{match['name']} {match['matchType']} {value}", route["repeatInterval"]))
        (hook,) = config["spec"]["receivers"][0]["webhookConfigs"]
        assert hook["url"] == f"http://cpp-actuator.{HOME}.svc:17902/alerts"
        assert ("Secret", HOME, hook["httpConfig"]["authorization"]["credentials"]["name"]) in shipped
    assert made == wanted


@pytest.mark.parametrize(
    ("value", "key", "complaint"),
    [
        ("actuator.replicas=0", "/actuator/replicas", "minimum: got 0, want 1"),
        ('actuator.dryRun="no"', "/actuator/dryRun", "got string, want boolean"),
        ('actuator.actsIn="shop"', "/actuator/actsIn", "got string, want array"),
        ('actuator.actsIn=["Shop"]', "/actuator/actsIn/0", "does not match pattern"),
        ("actuator.dryrun=true", "/actuator", "additional properties 'dryrun' not allowed"),
        ('images.actuator="cpp-actuator"', "/images/actuator", "does not match pattern"),
        ('images.actuator="cpp-actuator:latest"', "/images/actuator", "'not' failed"),
        ('prometheus.url="prometheus:9090"', "/prometheus/url", "does not match pattern"),
        ('prometheus.scrapeInterval="15"', "/prometheus/scrapeInterval", "does not match pattern"),
        ('steering.certificates="mine"', "/steering/certificates", "must be one of"),
        ('exporter.resources={"limits":{"memory":"lots"}}', "/exporter/resources/limits/memory", "does not match"),
    ],
)
def test_a_bad_value_is_refused_in_one_line_that_names_it(
    chart: Callable[..., Objects], value: str, key: str, complaint: str
) -> None:
    with pytest.raises(SetupError) as refused:
        chart(value)
    said = [line for line in str(refused.value).splitlines() if line.startswith("- ")]
    assert len(said) == 1, refused.value
    assert f"'{key}'" in said[0]
    assert complaint in said[0]


@pytest.mark.parametrize(
    "image", ["registry:5000/team/cpp:1", "cpp@sha256:" + "0" * 64, "a.example/cpp:1@sha256:" + "0" * 64]
)
def test_images_of_every_form_are_taken(chart: Callable[..., Objects], image: str) -> None:
    made = chart(f'images.exporter="{image}"')
    assert pods(made)["cpp-exporter"]["containers"][0]["image"] == image
