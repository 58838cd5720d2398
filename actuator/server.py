"""Serve the HTTP face with waitress: on a TCP address, or behind TLS on a Unix socket."""

import os
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import structlog
import waitress
from flask import Flask

from actuator.config import ConfigError
from actuator.tls import TlsFront
from actuator.webconfig import TlsConfig, tls_context

_READ_OUT = 16
_SETTINGS = {"threads": 8, "channel_timeout": 60, "ident": None, "clear_untrusted_proxy_headers": True}
_log = structlog.get_logger(__name__)


class AddressError(Exception):
    """The address cannot be listened on; the message names it and the flag."""


def listen(address: str) -> socket.socket:
    """Return a listening socket for ``HOST:PORT`` or ``:PORT``; raise AddressError."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if ":" not in address or not port.isdigit() or int(port) > 65535:
        raise AddressError(f"{address}: is no address; write --web.listen-address=HOST:PORT or :PORT")
    try:
        if not host and socket.has_dualstack_ipv6():
            return socket.create_server(("", int(port)), family=socket.AF_INET6, dualstack_ipv6=True)
        return socket.create_server((host, int(port)), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise AddressError(
            f"{address}: cannot listen on port {port} ({reason}); choose another with --web.listen-address"
        ) from error


@contextmanager
def serving(
    app: Flask, listener: socket.socket, max_body_bytes: int, tls: Callable[[], ssl.SSLContext] | None
) -> Iterator[None]:
    """Answer on ``listener`` in background threads, in TLS where ``tls`` gives a context."""
    # waitress hangs up on a body over its own bound, and the sender may never see the answer; the application, with
    # the configured bound, answers 413 in order. So waitress takes in more, but not without end.
    bound = _READ_OUT * max_body_bytes
    with listener, ExitStack() as running:
        if tls is None:
            server = waitress.create_server(app, sockets=[listener], max_request_body_size=bound, **_SETTINGS)
        else:
            directory = running.enter_context(tempfile.TemporaryDirectory(prefix="cpp-actuator-"))
            backend = Path(directory) / "http"
            server = waitress.create_server(
                app,
                unix_socket=str(backend),
                unix_socket_perms="600",
                max_request_body_size=bound,
                **_SETTINGS,
            )
            front = TlsFront(listener, tls, backend)
            threading.Thread(target=front.run, name="tls", daemon=True).start()
        running.callback(server.close)
        threading.Thread(target=server.run, name="http", daemon=True).start()
        yield


class TlsSource:
    """Gives the context of the certificate and key as they are on disk; raises ConfigError where the first is unfit.

    One is renewed before the other: until they fit again, connections get the context from before.
    """

    def __init__(self, web_config: Path, config: TlsConfig) -> None:
        self._web_config, self._config, self._lock = web_config, config, threading.Lock()
        self._files = (web_config.parent / config.cert_file, web_config.parent / config.key_file)
        self._told = ""
        self._state = self._look()
        self._context = tls_context(web_config, config)

    def __call__(self) -> ssl.SSLContext:
        """Return the context for a new connection."""
        with self._lock:
            try:
                self._renew()
            except (ConfigError, OSError) as error:
                if str(error) != self._told:
                    self._told = str(error)
                    _log.error("certificate not renewed", error=self._told)
            return self._context

    def _renew(self) -> None:
        state = self._look()
        if state != self._state:
            self._context, self._state, self._told = tls_context(self._web_config, self._config), state, ""

    def _look(self) -> tuple[int, ...]:
        return tuple(file.stat().st_mtime_ns for file in self._files)
