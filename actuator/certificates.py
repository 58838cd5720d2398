"""What a server's certificate says of itself, and whether a client would take it: OpenSSL is asked, in memory."""

import ssl
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from actuator.config import AdmissionConfig, ConfigError
from actuator.webconfig import TlsConfig, tls_context

SECTION = Path("admission")
"""What complaints about the files name."""
_NO_CHECK_TIME = 0x200000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME, for which the ssl module has no name."""
_FLIGHTS = 3
"""A handshake takes no more turns of either side."""


@dataclass(frozen=True)
class Validity:
    """Epoch seconds between which a certificate is in force."""

    begins: float
    ends: float


def tls_files(section: AdmissionConfig) -> TlsConfig:
    """Return where a certificate and its key are."""
    return TlsConfig(cert_file=section.cert_file.absolute(), key_file=section.key_file.absolute())


def server_context(section: AdmissionConfig) -> ssl.SSLContext:
    """Return a server's context with what is on disk; raise ConfigError where that cannot be used."""
    return tls_context(SECTION, tls_files(section))


def validity(section: AdmissionConfig) -> Validity:
    """Return when the certificate on disk is in force; raise ConfigError where no server could use it."""
    server, client = server_context(section), _client()
    client.check_hostname = False
    client.verify_flags |= ssl.VerifyFlags(_NO_CHECK_TIME)
    client.load_verify_locations(section.cert_file)
    try:
        said = _shake_hands(server, client, None)
    except ssl.SSLError as error:
        raise ConfigError(f"{SECTION}: {section.cert_file} is no server's certificate ({error}); mend it") from error
    return Validity(*(ssl.cert_time_to_seconds(str(said[key])) for key in ("notBefore", "notAfter")))


def doubt(section: AdmissionConfig, authorities: str, host: str) -> str:
    """Return why a client that trusts ``authorities``, in PEM, would not talk to ``host``; empty where it would.

    Without any it trusts those of its system. Raises ConfigError where no server could use the files.
    """
    server, client = server_context(section), _client()
    try:
        if authorities:
            client.load_verify_locations(cadata=authorities)
        else:
            client.load_default_certs()
        _shake_hands(server, client, host)
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    except (ssl.SSLError, ValueError) as error:
        return str(error)
    return ""


def _client() -> ssl.SSLContext:
    """The API server takes every certificate that it was given for an authority, as this does."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return client


def _shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, host: str | None) -> dict[str, object]:
    """Return what the client sees of the server's certificate."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(back, there, server_hostname=host)
    far = server.wrap_bio(there, back, server_side=True)
    for _ in range(_FLIGHTS):
        for side in (near, far):
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
    return dict(near.getpeercert() or {})
