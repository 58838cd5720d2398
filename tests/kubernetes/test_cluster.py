"""The cluster itself: what the other tests here rest on."""

import json
from collections.abc import Callable

import requests

from deploy.cluster.cluster import Cluster


def test_a_pod_is_resized_in_place_on_each_node_and_not_restarted(
    cluster: Cluster, run_pod: Callable[..., None], quota: Callable[[str], float]
) -> None:
    for node in ("n1", "n2"):
        run_pod(f"resized-{node}", node, "100m")
    for node in ("n1", "n2"):
        name = f"resized-{node}"
        cluster.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")
        assert quota(name) == 0.1
        more = {"requests": {"cpu": "150m"}, "limits": {"cpu": "150m"}}
        wish = {"spec": {"containers": [{"name": "main", "resources": more}]}}
        cluster.kubectl("patch", "pod", name, "--subresource=resize", f"--patch={json.dumps(wish)}")
        cluster.wait_for(lambda name=name: quota(name) == 0.15, 20, f"{name} has 0.15 cores in the kernel")
        assert cluster.get("pod", name)["status"]["containerStatuses"][0]["restartCount"] == 0


def test_the_address_of_a_service_leads_to_what_is_behind_it(cluster: Cluster) -> None:
    def answers() -> bool:
        try:
            answer = requests.get("https://10.96.0.1/readyz", verify=str(cluster.authority.certificate), timeout=2)
        except requests.ConnectionError:
            return False
        return answer.text == "ok"

    cluster.wait_for(answers, 20, "kube-proxy serves the Service kubernetes")
