"""The probe's HTTP: a page, metrics, health."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from exporter.probe.probe import Probe
from exporter.probe.render import Renderer

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_PAGE = '<!doctype html><title>cpp-probe</title><h1>cpp-probe</h1><p><a href="/metrics">Metrics</a></p>\n'
_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_HTML = "text/html; charset=utf-8"

Answer = tuple[str, str, str]
"""Status, content type, body."""


def create_app(probe: Probe, renderer: Renderer) -> "Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]":
    """Return the WSGI application."""

    def metrics() -> Answer:
        return "200 OK", _TEXT, renderer.render(*probe.snapshot())

    def ready() -> Answer:
        _, health = probe.snapshot()
        return ("200 OK", _TEXT, "ready\n") if health.up else ("503 Service Unavailable", _TEXT, "not counting\n")

    routes: dict[str, Callable[[], Answer]] = {
        "/": lambda: ("200 OK", _HTML, _PAGE),
        "/metrics": metrics,
        "/-/healthy": lambda: ("200 OK", _TEXT, "healthy\n"),
        "/-/ready": ready,
    }

    def missing() -> Answer:
        return "404 Not Found", _TEXT, "there is /metrics\n"

    def application(environment: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        status, kind, body = routes.get(environment["PATH_INFO"], missing)()
        content = body.encode()
        start_response(status, [("Content-Type", kind), ("Content-Length", str(len(content)))])
        return [content]

    return application
