"""A limit of a container in a pod: what is asked of the API server, and when it counts."""

import json
from typing import Any

import pytest
from apiserver.faults import Fault, Side, asks
from shop import LIMITS, MIB, REQUESTS, Shop
from structlog.testing import capture_logs

from actuator.platforms.errors import (
    ConflictError,
    GoneError,
    RejectedError,
    StoppedError,
    UnavailableError,
    UnsettledError,
)

RESIZE = asks("patch", "pods/resize")
OWNER = "cpp/owner-resources"


def cpu(shop: Shop) -> tuple[str, str]:
    resources = shop.resources()
    return resources["requests"]["cpu"], resources["limits"]["cpu"]


def test_what_a_container_has_is_what_the_kubelet_says(shop: Shop) -> None:
    found = shop.platform.inspect(shop.run())
    assert found is not None
    assert (found.cpu_limit, found.memory_limit, found.memory_usage) == (0.5, 128 * MIB, 10 * MIB)
    assert (found.host_cpu, found.host_memory) == (3.92, 8 * 2**30)
    assert (found.running, found.started_at, found.owner) == (True, 1767225600.0, None)


def test_a_request_goes_up_and_down_in_step_and_comes_back_to_what_it_was(shop: Shop) -> None:
    target = shop.run()
    for limit, asked in ((0.8, ("400m", "800m")), (0.333, ("166m", "333m")), (0.5, ("250m", "500m"))):
        shop.platform.set_limit(target, "cpu", limit)
        assert cpu(shop) == asked
        assert shop.platform.kernel_value(target, "cpu").limit == limit
    assert shop.resources()["limits"]["memory"] == LIMITS["memory"]


def test_a_guaranteed_pod_stays_guaranteed(shop: Shop) -> None:
    target = shop.run(requests=LIMITS)
    shop.platform.set_limit(target, "cpu", 0.7)
    assert cpu(shop) == ("700m", "700m")


def test_a_limit_where_the_owner_set_none_stays_over_the_request_and_ends_as_none(shop: Shop) -> None:
    target = shop.run(limits={"memory": REQUESTS["memory"]})
    shop.platform.set_limit(target, "cpu", 0.1)
    assert cpu(shop) == ("99m", "100m")
    shop.platform.set_limit(target, "cpu", None)
    assert cpu(shop) == ("250m", "3920m")
    found = shop.platform.inspect(target)
    assert found is not None
    assert found.cpu_limit is None
    assert shop.platform.kernel_value(target, "cpu").limit is None


@pytest.mark.parametrize(
    ("reason", "error", "code"),
    [
        ("Infeasible", RejectedError, "infeasible"),
        ("Deferred", ConflictError, "deferred"),
        ("Error", ConflictError, ""),
    ],
)
def test_a_resize_that_does_not_come_is_taken_back(shop: Shop, reason: str, error: type[Any], code: str) -> None:
    target = shop.run()
    shop.kubelet.postpones = reason
    with pytest.raises(error, match="no room") as refused:
        shop.platform.set_limit(target, "cpu", 4.0)
    assert refused.value.code == code
    assert shop.resources() == {"requests": REQUESTS, "limits": LIMITS}
    assert shop.clock.now == pytest.approx(0.0 if reason == "Infeasible" else 30.0, abs=0.3)


def test_what_the_kubelet_said_of_an_earlier_wish_does_not_count(shop: Shop) -> None:
    target = shop.run()
    stale = {"type": "PodResizePending", "status": "True", "reason": "Infeasible", "observedGeneration": 1}
    shop.server.store.watchers.remove(shop.kubelet)
    shop.pod()["metadata"]["generation"] = 2
    shop.pod()["status"]["conditions"].append(stale)
    with pytest.raises(ConflictError, match="not in force"):
        shop.platform.set_limit(target, "cpu", 0.8)
    shop.pod()["status"]["conditions"][-1]["observedGeneration"] = 2
    with pytest.raises(RejectedError, match="never"):
        shop.platform.set_limit(target, "cpu", 0.8)


def test_a_wish_that_a_crash_left_behind_is_withdrawn_and_no_other(shop: Shop) -> None:
    target = shop.run()
    shop.platform.withdraw(target, "cpu")
    assert shop.server.counts["patch", "pods/resize"] == 0
    shop.kubelet.postpones = "Deferred"
    wish = {"requests": {"cpu": "2"}, "limits": {"cpu": "3"}}
    shop.server.store.update("pods", shop.pod(), _asking(shop, wish))
    shop.platform.withdraw(target, "cpu")
    assert cpu(shop) == ("250m", "500m")


def _asking(shop: Shop, resources: Any) -> Any:
    changed = json.loads(json.dumps(shop.pod()))
    changed["spec"]["containers"][0]["resources"] = resources
    return changed


@pytest.mark.parametrize(
    ("policy", "resource", "code"),
    [
        ([{"resourceName": "cpu", "restartPolicy": "RestartContainer"}], "cpu", "would_restart"),
        ([{"resourceName": "memory", "restartPolicy": "RestartContainer"}], "cpu", None),
    ],
)
def test_a_resize_that_would_restart_is_refused(shop: Shop, policy: Any, resource: str, code: str | None) -> None:
    target = shop.run()
    shop.pod()["spec"]["containers"][0]["resizePolicy"] = policy
    if code is None:
        shop.platform.set_limit(target, resource, 0.8)
        return
    with pytest.raises(RejectedError, match="resizePolicy") as refused:
        shop.platform.set_limit(target, resource, 0.8)
    assert (refused.value.code, shop.server.counts["patch", "pods/resize"]) == (code, 0)


def test_a_best_effort_pod_gets_no_limit(shop: Shop) -> None:
    target = shop.run(requests={}, limits={})
    with pytest.raises(RejectedError, match="QoS"):
        shop.platform.set_limit(target, "cpu", 0.8)
    assert shop.annotations() == {}


def test_no_memory_limit_goes_under_what_is_in_use_or_down_where_that_is_not_known(shop: Shop) -> None:
    target = shop.run()
    shop.in_use = 100.0 * MIB
    with pytest.raises(RejectedError, match="in use"):
        shop.platform.set_limit(target, "memory", 90.0 * MIB)
    shop.platform.set_limit(target, "memory", 110.0 * MIB)
    shop.in_use = None
    with pytest.raises(ConflictError, match="not known"):
        shop.platform.set_limit(target, "memory", 105.0 * MIB)
    shop.platform.set_limit(target, "memory", 120.0 * MIB)
    assert shop.platform.kernel_value(target, "memory").limit == 120 * MIB


def test_what_the_owner_had_set_is_written_on_the_pod_before_its_first_change_and_only_then(shop: Shop) -> None:
    target = shop.run()
    shop.server.refuse(403, RESIZE)
    with pytest.raises(RejectedError):
        shop.platform.set_limit(target, "cpu", 0.8)
    written = shop.annotations()[OWNER]
    assert json.loads(written) == {"main": {"requests": REQUESTS, "limits": LIMITS}}
    shop.platform.set_limit(target, "cpu", 0.8)
    shop.platform.set_limit(target, "memory", 140.0 * MIB)
    assert shop.annotations()[OWNER] == written
    assert shop.server.counts["patch", "pods"] == 1


def test_what_is_written_on_the_pod_is_found_again_and_taken_off_once_all_of_it_is_back(shop: Shop) -> None:
    target = shop.run()
    shop.run("web-2")
    shop.platform.set_limit(target, "cpu", 0.8)
    shop.platform.set_limit(target, "memory", 140.0 * MIB)
    (owner,) = shop.platform.remembered()
    assert (owner.target, owner.cpu_limit, owner.memory_limit) == (target, 0.5, 128 * MIB)
    shop.platform.set_limit(target, "cpu", 0.5)
    shop.platform.forget(target)
    assert OWNER in shop.annotations()
    shop.platform.set_limit(target, "memory", 128.0 * MIB)
    shop.platform.forget(target)
    assert OWNER not in shop.annotations()
    assert shop.resources() == {"requests": REQUESTS, "limits": LIMITS}


@pytest.mark.parametrize("silent", [False, True])
def test_a_pod_whose_node_is_gone_or_says_nothing_keeps_no_other_from_being_found(shop: Shop, silent: bool) -> None:
    if silent:
        shop.server.add("nodes", {"metadata": {"name": "n2"}, "status": {}})
    for target in (shop.run(), shop.run("web-2")):
        shop.platform.set_limit(target, "cpu", 0.8)
    shop.pod("web-2")["spec"]["nodeName"] = "n2"
    with capture_logs() as logs:
        (owner,) = shop.platform.remembered()
    assert (owner.target.pod, owner.cpu_limit) == ("web-1", 0.5)
    assert [(entry["event"], entry["pod"]) for entry in logs] == [("not restored", "web-2")]
    shop.clock.sleep(61.0)
    shop.server.refuse(500, asks("get", "nodes"))
    with pytest.raises(UnavailableError):
        shop.platform.remembered()


def test_a_container_that_restarts_in_a_changed_pod_is_the_same_and_elsewhere_it_is_gone(shop: Shop) -> None:
    target = shop.run()
    shop.platform.set_limit(target, "cpu", 0.8)
    again = shop.restart_container()
    found = shop.platform.inspect(target)
    assert found is not None
    assert found.owner is not None
    assert (found.cpu_limit, found.owner.target, found.owner.cpu_limit) == (0.8, again, 0.5)
    shop.platform.set_limit(target, "cpu", 0.5)
    shop.platform.forget(target)
    assert shop.platform.inspect(target) is None
    with pytest.raises(GoneError):
        shop.platform.set_limit(target, "cpu", 0.8)


def test_a_pod_that_came_under_the_same_name_meanwhile_keeps_what_it_has(shop: Shop) -> None:
    target = shop.run()
    before = shop.api.pod("shop", "web-1")
    shop.server.store.delete("pods", shop.pod())
    shop.run()
    with pytest.raises(ConflictError):
        shop.api.resize(before, "main", {"limits": {"cpu": "800m"}})
    with pytest.raises(GoneError):
        shop.platform.set_limit(target, "cpu", 0.8)
    assert shop.resources() == {"requests": REQUESTS, "limits": LIMITS}


def test_a_container_that_does_not_run_has_no_limit_in_force(shop: Shop) -> None:
    target = shop.run()
    shop.pod()["status"]["containerStatuses"][0]["state"] = {"waiting": {"reason": "CrashLoopBackOff"}}
    with pytest.raises(StoppedError):
        shop.platform.kernel_value(target, "cpu")
    found = shop.platform.inspect(target)
    assert found is not None
    assert not found.running


def test_the_node_is_not_asked_for_each_time(shop: Shop) -> None:
    target = shop.run()
    for _ in range(5):
        shop.platform.kernel_value(target, "cpu")
    assert shop.server.counts["get", "nodes"] == 1
    shop.clock.sleep(61.0)
    shop.platform.kernel_value(target, "cpu")
    assert shop.server.counts["get", "nodes"] == 2


def test_a_node_without_labels_is_a_node(shop: Shop) -> None:
    target = shop.run()
    del shop.server.store.get("nodes", "", "n1")["metadata"]["labels"]
    assert shop.platform.inspect(target) is not None


def test_a_node_that_is_gone_does_not_make_its_pods_gone(shop: Shop) -> None:
    target = shop.run()
    shop.server.store.delete("nodes", shop.server.store.get("nodes", "", "n1"))
    with pytest.raises(UnavailableError, match="n1"):
        shop.platform.inspect(target)


def test_a_node_that_does_not_say_what_it_has_is_waited_for(shop: Shop) -> None:
    target = shop.run()
    del shop.server.store.get("nodes", "", "n1")["status"]["allocatable"]
    with pytest.raises(UnavailableError, match="node n1 does not say"):
        shop.platform.inspect(target)


def test_a_container_that_does_not_say_since_when_it_runs_is_looked_at_all_the_same(shop: Shop) -> None:
    target = shop.run()
    shop.pod()["status"]["containerStatuses"][0]["state"]["running"]["startedAt"] = None
    found = shop.platform.inspect(target)
    assert found is not None
    assert (found.running, found.started_at) == (True, 0.0)


def test_a_busy_api_server_is_asked_again_after_the_time_it_names(shop: Shop) -> None:
    target = shop.run()
    shop.server.refuse(429, asks("get", "pods"), times=2, retry_after=0.1)
    assert shop.platform.inspect(target) is not None
    shop.server.refuse(429, asks("get", "pods"), retry_after=600.0)
    with pytest.raises(UnavailableError):
        shop.platform.inspect(target)
    assert shop.platform.inspect(target) is not None


@pytest.mark.parametrize(
    ("status", "error"), [(403, RejectedError), (409, ConflictError), (429, UnavailableError), (503, UnavailableError)]
)
def test_each_refusal_of_the_api_server_has_its_meaning(shop: Shop, status: int, error: type[Exception]) -> None:
    target = shop.run()
    shop.server.refuse(status, times=9)
    with pytest.raises(error, match="on purpose"):
        shop.platform.kernel_value(target, "cpu")


def test_an_api_server_away_for_a_while_does_not_end_the_wait(shop: Shop) -> None:
    target = shop.run()
    shop.server.drop(asks("get", "pods"), times=1)
    with pytest.raises(UnavailableError, match="does not answer"):
        shop.platform.inspect(target)
    shop.server.faults.add(_after(before=1, times=3))
    shop.platform.set_limit(target, "cpu", 0.8)
    assert shop.platform.kernel_value(target, "cpu").limit == 0.8


def test_a_change_that_nobody_could_follow_is_left_to_be_looked_at_again(shop: Shop) -> None:
    target = shop.run()
    shop.kubelet.postpones = "Deferred"
    shop.server.faults.add(_after(before=1, times=10_000))
    with pytest.raises(UnsettledError, match="taken back"):
        shop.platform.set_limit(target, "cpu", 0.8)
    shop.server.faults.clear()
    shop.platform.withdraw(target, "cpu")
    assert cpu(shop) == ("250m", "500m")


def _after(before: int, times: int) -> Any:
    return Fault(asks("get", "pods"), Side.BEFORE, skip=before, times=times)


def test_a_pod_whose_owner_annotation_makes_no_sense_is_not_touched(shop: Shop) -> None:
    target = shop.run(annotations={OWNER: '{"main": {"limits": {"cpu": "plenty"}}}'})
    with pytest.raises(RejectedError, match="makes no sense") as refused:
        shop.platform.set_limit(target, "cpu", 0.8)
    assert refused.value.code == "bad_annotation"
    assert shop.platform.remembered() == []
    assert shop.server.counts["patch", "pods/resize"] == 0
