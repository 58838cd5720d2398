"""Configuration of cpp-actuator: a YAML file; unknown keys and wrong types are refused in one line."""

from pathlib import Path

import yaml
from pydantic import Field, ValidationError, model_validator

from actuator.decide.limits import Limits
from actuator.durations import Duration
from actuator.platforms.settings import DockerConfig, PlatformConfig
from actuator.sections import Section, first_problem


class ConfigError(Exception):
    """One line that names the file, the key and the remedy."""


class PrometheusConfig(Section):
    """Where the truth is asked."""

    url: str = "http://127.0.0.1:9090"
    """Address of Prometheus."""
    scrape_interval: Duration = 15.0
    """Its scrape interval; each link from a container to Prometheus may be two of them old."""
    timeout: Duration = 5.0
    """How long one query may take."""


class WebhookConfig(Section):
    """How alerts come in."""

    token_file: Path
    """File with the bearer token that Alertmanager sends; read again when it changes."""
    max_body_bytes: int = Field(default=1_048_576, ge=1024)
    """Larger deliveries are answered 413."""


class AlertmanagerConfig(Section):
    """What the actuator must know of Alertmanager."""

    repeat_interval: Duration = 300.0
    """Its repeat_interval for action alerts; an order not refreshed for twice as long expires."""


class WatchdogConfig(Section):
    """The always firing alert CppWatchdog."""

    silence: Duration = 180.0
    """Without it for this long nothing new is done."""


class LedgerConfig(Section):
    """What the actuator remembers."""

    path: Path = Path("/var/lib/cpp-actuator/ledger.sqlite")
    """The SQLite file; its directory must exist and be writable."""
    retention: Duration = 90 * 86400.0
    """Closed orders and deliveries older than this are forgotten."""


class ThrottleConfig(Section):
    """How a throttle is loosened before its time is over."""

    calm: Duration = 300.0
    """A throttle is loosened one step when its cause has been gone for this long; each relapse doubles it."""


class AdmissionConfig(Section):
    """Where the API server asks about new pods, so that the replacement of a pod that moves goes to its target."""

    listen_address: str = ":17903"
    """Address to listen on, in TLS."""
    cert_file: Path
    """PEM file with the certificate and its chain; read again when it changes."""
    key_file: Path
    """PEM file with the private key."""


class Config(Section):
    """All keys of the file; ``webhook.token_file`` is the only one that must be given."""

    cluster: str = ""
    """Must equal the ``cluster`` label of the alerts (Prometheus' external label); empty where there is none."""
    dry_run: bool = True
    """Plan and record, but change nothing; set to false to act."""
    webhook: WebhookConfig
    """How alerts come in."""
    prometheus: PrometheusConfig = PrometheusConfig()
    """Where the truth is asked."""
    alertmanager: AlertmanagerConfig = AlertmanagerConfig()
    """What the actuator must know of Alertmanager."""
    watchdog: WatchdogConfig = WatchdogConfig()
    """The always firing alert."""
    ledger: LedgerConfig = LedgerConfig()
    """What the actuator remembers."""
    platform: PlatformConfig = DockerConfig()
    """Where containers run."""
    admission: AdmissionConfig | None = None
    """Where the API server asks about new pods; without it nothing is moved."""
    throttle: ThrottleConfig = ThrottleConfig()
    """How a throttle is loosened."""
    limits: Limits = Limits.model_validate({})
    """The bounds within which decisions are taken."""

    @model_validator(mode="before")
    @classmethod
    def _token_file_given(cls, document: object) -> object:
        if isinstance(document, dict) and "webhook" not in document:
            raise ValueError("webhook.token_file: is missing; write the bearer token into a file and name it here")
        return document


def load_config(path: Path) -> Config:
    """Return the configuration in ``path``; raise ConfigError."""
    try:
        document = yaml.safe_load(path.read_text()) or {}
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); give a readable file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not YAML ({' '.join(str(error).split())}); mend the syntax") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: holds no keys; write at least 'webhook: {{token_file: PATH}}'")
    try:
        return Config.model_validate(document)
    except ValidationError as error:
        raise ConfigError(f"{path}: {first_problem(error, Config)}") from error
