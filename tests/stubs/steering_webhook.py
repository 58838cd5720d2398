"""The admission webhook as a cluster knows it: whom the API server asks, and whom it trusts."""

import base64
from typing import Any

from deploy.cluster.pki import Authority

HOST = "127.0.0.1"


def issue(authority: Authority, days: int = 7) -> dict[str, str]:
    """Issue a certificate for the webhook; return it and its key as the configuration names them."""
    authority.issue("steer", "/CN=steer", f"IP:{HOST}", days=days)
    return {"cert_file": str(authority.path("steer.crt")), "key_file": str(authority.path("steer.key"))}


def configuration(authority: Authority, *addresses: str) -> dict[str, Any]:
    """Return a MutatingWebhookConfiguration that asks at each of ``addresses``, HOST:PORT, as the chart's does."""
    webhooks = [_webhook(number, authority, address) for number, address in enumerate(addresses)]
    head = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration"}
    return {**head, "metadata": {"name": "cpp-steer"}, "webhooks": webhooks}


def _webhook(number: int, authority: Authority, address: str) -> dict[str, Any]:
    bundle = base64.b64encode(authority.certificate.read_bytes()).decode()
    rule = {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
    return {
        "name": f"steer-{number}.cpp.dev",
        "admissionReviewVersions": ["v1"],
        "failurePolicy": "Ignore",
        "timeoutSeconds": 2,
        "sideEffects": "NoneOnDryRun",
        "namespaceSelector": {"matchLabels": {"cpp/steer": "enabled"}},
        "rules": [rule],
        "clientConfig": {"url": f"https://{address}/mutate", "caBundle": bundle},
    }
