"""The file of ``--web.config.file``: TLS and basic auth, in the format of the Prometheus exporters."""

import ssl
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field, ValidationError

from actuator.config import ConfigError
from actuator.sections import Section, first_problem

_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}


class TlsConfig(Section):
    """A server's certificate, and what is asked of clients."""

    cert_file: Path
    """PEM file with the certificate and its chain."""
    key_file: Path
    """PEM file with the private key."""
    client_ca_file: Path | None = None
    """PEM file with the authorities that sign clients' certificates."""
    client_auth_type: Literal["NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"] = "NoClientCert"
    """Whether clients must show a certificate."""
    min_version: Literal["TLS12", "TLS13"] = "TLS12"
    """Oldest protocol version accepted."""


class WebConfig(Section):
    """All keys of the file; file names are relative to it."""

    tls_server_config: TlsConfig | None = None
    """Serve TLS; absent for plain HTTP."""
    basic_auth_users: dict[str, str] = Field(default_factory=dict)
    """Password hashes (bcrypt) by user; with any, every request must name a user or carry the bearer token."""


def load_web_config(path: Path | None) -> WebConfig:
    """Return the web configuration in ``path``, or an empty one for None; raise ConfigError."""
    if path is None:
        return WebConfig()
    try:
        config = WebConfig.model_validate(yaml.safe_load(path.read_text()) or {})
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); give a readable file") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: is not YAML ({' '.join(str(error).split())}); mend the syntax") from error
    except ValidationError as error:
        raise ConfigError(f"{path}: {first_problem(error, WebConfig)}") from error
    if config.tls_server_config is not None:
        tls_context(path, config.tls_server_config)
    return config


def tls_context(path: Path, config: TlsConfig) -> ssl.SSLContext:
    """Return a server context; raise ConfigError where a file cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[config.min_version]
    cert, key = path.parent / config.cert_file, path.parent / config.key_file
    try:
        context.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"{path}: tls_server_config: {cert} with {key} cannot be used ({error}); mend them"
        ) from error
    if config.client_auth_type != "NoClientCert":
        _verify_clients(context, path, config)
    return context


def _verify_clients(context: ssl.SSLContext, path: Path, config: TlsConfig) -> None:
    if config.client_ca_file is None:
        raise ConfigError(f"{path}: tls_server_config.client_ca_file: is missing; client_auth_type asks for it")
    required = config.client_auth_type == "RequireAndVerifyClientCert"
    context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
    authority = path.parent / config.client_ca_file
    try:
        context.load_verify_locations(authority)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"{path}: tls_server_config: {authority} cannot be used ({error}); mend it") from error
