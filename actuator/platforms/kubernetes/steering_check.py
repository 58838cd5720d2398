"""Whether the API server would ask this replica about a pod that is made now, and take its answer."""

import base64
import binascii
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import urlsplit

from actuator.certificates import doubt, validity
from actuator.config import AdmissionConfig, ConfigError
from actuator.platforms.errors import GoneError
from actuator.platforms.kubernetes.cluster_api import ClusterApi
from actuator.platforms.kubernetes.webhooks import WebhookClient

NAME = "cpp-steer"
"""What the webhook's configuration is called in the cluster."""
_LEAST_LEFT = 600.0
"""Seconds for which a certificate has to hold: a replacement may be made minutes after the eviction."""
_RENEW = "renew it, with `helm upgrade` or through cert-manager"
_INSTALL = "install with steering.enabled=true"


class SteeringCheck:
    """Says why a replacement would not be steered, whatever its pod and its namespace. ``clock`` gives epoch seconds.

    The webhook's failure policy is to let pods pass, so that nobody else would say it before a pod has landed anywhere.
    """

    def __init__(self, api: ClusterApi, section: AdmissionConfig | None, clock: Callable[[], float]) -> None:
        self._api, self._section, self._clock = api, section, clock

    def __call__(self) -> str:
        """Return what is wrong and its remedy; empty where nothing is. Raises PlatformError."""
        if self._section is None:
            return f"no section admission: this actuator steers nothing; {_INSTALL}"
        try:
            return self._out_of_force(self._section) or self._unasked(self._section)
        except ConfigError as error:
            return str(error)

    def _out_of_force(self, section: AdmissionConfig) -> str:
        """The cluster's clock may differ from ours by seconds, and the certificate's time by what is left."""
        known, now = validity(section), self._clock()
        if now < known.begins:
            return f"the webhook's certificate {section.cert_file} begins on {_date(known.begins)}; mend the clock"
        left = known.ends - now
        if left > _LEAST_LEFT:
            return ""
        over = "ended" if left <= 0 else f"has {left:.0f} s left and ends"
        return f"the webhook's certificate {section.cert_file} {over} on {_date(known.ends)}; {_RENEW}"

    def _unasked(self, section: AdmissionConfig) -> str:
        """One of the configuration's webhooks has to lead to who has this certificate."""
        try:
            clients = self._api.webhook_clients(NAME)
        except GoneError:
            return f"the cluster has no MutatingWebhookConfiguration {NAME}; {_INSTALL}"
        doubts = [_doubt(section, client) for client in clients]
        if "" in doubts:
            return ""
        said = doubts[0] if doubts else "it has no webhook"
        return f"by the configuration {NAME} the API server would not trust the webhook's certificate: {said}; {_RENEW}"


def _doubt(section: AdmissionConfig, client: WebhookClient) -> str:
    try:
        authorities = base64.b64decode(client.ca_bundle, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        return f"its caBundle makes no sense ({error})"
    return doubt(section, authorities, _host(client))


def _host(client: WebhookClient) -> str:
    if client.service is not None:
        return f"{client.service.name}.{client.service.namespace}.svc"
    return urlsplit(client.url).hostname or ""


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
