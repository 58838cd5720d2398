import pytest

from exporter.history.identity import NODE, PODS_CGROUPS, Identity, identify

CID = "4f" * 32


def test_a_plain_docker_container_is_its_own_workload() -> None:
    assert identify({"id": f"/docker/{CID}", "name": "web", "image": "shop:1"}) == Identity(
        key=CID, container="web", container_id=CID, workload="web", image="shop:1", runtime="docker"
    )


@pytest.mark.parametrize(
    ("labels", "workload", "tenant"),
    [
        ({"com_docker_compose_project": "shop", "com_docker_compose_service": "web"}, "shop/web", "shop"),
        ({"com_docker_swarm_service_name": "shop_web"}, "shop_web", ""),
        ({"cpp_workload": "mine", "cpp_tenant": "me"}, "mine", "me"),
        (
            {"cpp_workload": "mine", "com_docker_compose_project": "shop", "com_docker_compose_service": "web"},
            "mine",
            "shop",
        ),
        ({"cpp_workload": "", "com_docker_compose_project": "", "com_docker_compose_service": ""}, "web-1", ""),
    ],
    ids=["compose", "swarm", "own labels", "own label over compose", "empty labels"],
)
def test_the_workload_and_tenant_come_from_labels(labels: dict[str, str], workload: str, tenant: str) -> None:
    given = {f"container_label_{key}": value for key, value in labels.items()}
    found = identify({"id": f"/docker/{CID}", "name": "web-1", **given})
    assert found is not None
    assert (found.container, found.workload, found.tenant) == ("web-1", workload, tenant)


@pytest.mark.parametrize(
    "path",
    [f"/docker/{CID}", f"/system.slice/docker-{CID}.scope"],
)
def test_the_id_is_found_in_each_cgroup_layout_and_the_probe_agrees_with_cadvisor(path: str) -> None:
    full, bare = identify({"id": path, "name": "web"}), identify({"id": path})
    assert full is not None
    assert bare is not None
    assert full.key == bare.key == CID
    assert bare.workload == ""
    assert full.runtime == bare.runtime == "docker"


@pytest.mark.parametrize("below", ["init", "docker/" + "ab" * 32, "system.slice/nginx.service"])
def test_cgroups_inside_a_container_are_counted_in_it_already(below: str) -> None:
    assert identify({"id": f"/docker/{CID}/{below}", "name": ""}) is None


@pytest.mark.parametrize(
    ("pod", "owner"),
    [
        ("web-586c69668b-dh6dj", "web"),
        ("web-front-586c69668b-dh6dj", "web-front"),
        ("db-0", "db"),
        ("db-12", "db"),
        ("agent-79ft8", "agent"),
        ("etcd-node-a", "etcd-node-a"),
        ("alone", "alone"),
    ],
    ids=["deployment", "deployment with a dash", "stateful set", "twelfth", "daemon set", "static pod", "bare pod"],
)
def test_in_a_pod_the_workload_is_the_owner_and_not_the_pod(pod: str, owner: str) -> None:
    labels = {"namespace": "shop", "pod": pod, "container": "app", "image": "app:1", "name": CID}
    path = f"/kubepods/burstable/pod143314da-1c8e-4c82-bb3f-97e9772ad4b3/{CID}"
    found = identify({"id": path, **labels})
    assert found is not None
    assert (found.workload, found.pod, found.key) == (f"shop/{owner}/app", pod, CID)


@pytest.mark.parametrize("container", ["", "POD"])
def test_a_pause_container_counts_only_as_its_pod(container: str) -> None:
    path = f"/kubepods.slice/kubepods-pod1.slice/cri-containerd-{CID}.scope"
    found = identify({"id": path, "namespace": "shop", "pod": "web-0", "container": container})
    assert found == Identity(key="pod:shop/web-0", namespace="shop", pod="web-0", workload="shop/web/", tenant="shop")


@pytest.mark.parametrize(
    ("path", "runtime"),
    [
        (f"/kubepods.slice/cri-containerd-{CID}.scope", "containerd"),
        (f"/kubepods.slice/crio-{CID}.scope", "cri-o"),
        (f"/machine.slice/libpod-{CID}.scope", "podman"),
        (f"/kubepods/pod1/{CID}", ""),
    ],
)
def test_the_runtime_is_read_from_the_cgroup(path: str, runtime: str) -> None:
    found = identify({"id": path, "name": "x"})
    assert found is not None
    assert found.runtime == runtime


def test_a_label_of_any_length_is_kept_to_256_characters() -> None:
    long = "x" * 100_000
    docker = {"name": long, "image": long, "container_label_cpp_tenant": long}
    pod = {"namespace": long, "pod": long, "container": long, "image": long}
    found = identify({"id": f"/docker/{CID}"} | docker), identify({"id": f"/kubepods/{CID}"} | pod)
    for who in found:
        assert who is not None
        assert who.container_id == CID
        assert {who.container, who.tenant, who.image} == {"x" * 256}
        assert len(who.workload) < 1000


def test_a_label_of_256_characters_is_whole() -> None:
    labels = {f"container_label_cpp_{name}": name + "x" * (256 - len(name)) for name in ("workload", "tenant")}
    found = identify({"id": f"/docker/{CID}", "name": "web"} | labels)
    assert found is not None
    assert [found.workload, found.tenant] == list(labels.values())


@pytest.mark.parametrize("path", ["/system.slice", "/docker", "/kubepods/burstable", "/init.scope", ""])
def test_cgroups_that_are_no_container_are_nobody(path: str) -> None:
    assert identify({"id": path}) is None


def test_the_root_cgroup_is_the_node() -> None:
    assert identify({"id": "/", "name": "", "image": ""}) is NODE


@pytest.mark.parametrize("path", ["/kubepods", "/n1/kubepods", "/kubepods.slice", "/a.slice/a-kubepods.slice"])
def test_on_kubernetes_the_node_is_the_group_of_all_pods_and_no_longer_the_whole_machine(path: str) -> None:
    assert identify({"id": path}, PODS_CGROUPS) is NODE
    assert identify({"id": path}) is None
    assert identify({"id": "/"}, PODS_CGROUPS) is None
    assert identify({"id": f"{path}/burstable"}, PODS_CGROUPS) is None
