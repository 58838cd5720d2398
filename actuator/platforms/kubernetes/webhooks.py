"""What the API server says of admission webhooks: whom it asks, and whom it trusts to answer."""

from actuator.platforms.kubernetes.documents import Document


class ServiceReference(Document):
    """A Service that leads to whoever answers."""

    name: str
    namespace: str


class WebhookClient(Document):
    """How the API server asks: a Service or an address, and the authorities that it trusts, in base64."""

    ca_bundle: str = ""
    service: ServiceReference | None = None
    url: str = ""


class Webhook(Document):
    """One of a configuration's webhooks."""

    client_config: WebhookClient


class WebhookConfiguration(Document):
    """A MutatingWebhookConfiguration of ``admissionregistration.k8s.io/v1``."""

    webhooks: tuple[Webhook, ...] = ()
