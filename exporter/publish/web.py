"""HTTP: a page for people, /metrics for Prometheus, /profiles for programs."""

import gzip
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape

from flask import Flask, Response, jsonify, request
from pydantic import BaseModel
from werkzeug.exceptions import BadRequest, HTTPException, NotFound

from exporter.durations import parse_duration
from exporter.publish.process import process_metrics

_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_BY_ENCODING = {"Vary": "Accept-Encoding"}
_HOUR = 3600.0
_PIECE = 1 << 16
"""Bytes."""
_PAGE = """<!doctype html><html lang="en"><head><title>cpp-exporter</title></head><body><h1>cpp-exporter</h1>
<p>Container Personality Profiles of node {node}.</p>
<ul><li><a href="/metrics">Metrics</a></li><li><a href="/profiles">Profiles</a></li></ul></body></html>"""


@dataclass(frozen=True)
class Views:
    """What the web shows; each is called anew for each request."""

    metrics: Callable[[], bytes]
    """The newest page, compressed by gzip; empty before the first cycle."""
    profiles: Callable[[], list[dict[str, str]]]
    """Name and id of each container."""
    profile: Callable[[str, float], BaseModel | None]
    """The profile by container id, or a prefix of it, with so many seconds of the past; None where unknown."""


def create_app(node: str, views: Views) -> Flask:
    """Return the WSGI application."""
    app = Flask("cpp-exporter")

    @app.get("/")
    def index() -> str:
        return _PAGE.format(node=escape(node))

    @app.get("/metrics")
    def metrics() -> Response:
        page = views.metrics() or gzip.compress(process_metrics())
        if not request.accept_encodings["gzip"]:
            return Response(_unpacked(page), content_type=_TEXT, headers=_BY_ENCODING)
        return Response(page, content_type=_TEXT, headers={**_BY_ENCODING, "Content-Encoding": "gzip"})

    @app.get("/profiles")
    def profiles() -> Response:
        return jsonify(views.profiles())

    @app.get("/profiles/<container_id>")
    def profile(container_id: str) -> Response:
        found = views.profile(container_id, _window())
        if found is None:
            raise NotFound(f"no container {container_id!r} here now; /profiles lists them")
        return Response(found.model_dump_json(), content_type="application/json")

    @app.get("/-/healthy")
    def healthy() -> str:
        return "healthy\n"

    @app.get("/-/ready")
    def ready() -> tuple[str, int]:
        return ("ready\n", 200) if views.metrics() else ("the first cycle has not ended yet\n", 503)

    @app.errorhandler(HTTPException)
    def refuse(error: HTTPException) -> tuple[Response, int]:
        return jsonify(error=error.description), error.code or 500

    return app


def _unpacked(page: bytes) -> Iterator[bytes]:
    """Yield the text piece by piece: as a whole it is several times the page."""
    with gzip.GzipFile(fileobj=io.BytesIO(page)) as text:
        while piece := text.read(_PIECE):
            yield piece


def _window() -> float:
    try:
        return parse_duration(request.args["window"]) if "window" in request.args else _HOUR
    except ValueError as error:
        raise BadRequest(f"window: {error}") from error
