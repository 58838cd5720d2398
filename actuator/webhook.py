"""The HTTP face: deliveries in (authenticate, validate, record, 202), the ledger and the switches for people."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from flask import Flask, Response, request
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from werkzeug.exceptions import HTTPException

from actuator.auth import BasicUsers, TokenError, TokenFile
from actuator.gate import Gate
from actuator.ledger.database import LedgerError
from actuator.ledger.protocol import Ledger
from actuator.metrics import Meters
from actuator.model.decisions import Refusal
from actuator.payload import PayloadError, parse_delivery
from actuator.pulse import Pulse
from actuator.reading import is_watchdog, read_alert
from actuator.records import Reading

_MOST_ACTIONS = 1000
_PAGE = """<!doctype html><html lang="en"><head><title>cpp-actuator</title></head><body><h1>cpp-actuator</h1>
<p>Turns alerts into checked actions on containers.</p><ul><li><a href="/actions">Actions</a></li>
<li><a href="/metrics">Metrics</a></li></ul></body></html>"""
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Desk:
    """What requests are answered from."""

    cluster: str
    ledger: Ledger
    gate: Gate
    token: TokenFile
    users: BasicUsers | None
    """None where everybody may look."""
    registry: CollectorRegistry
    meters: Meters
    pulse: Pulse
    acts: Callable[[], bool]
    """Whether this replica is the one that works."""
    wake: Callable[[], None]
    clock: Callable[[], float]


def create_app(desk: Desk, max_body_bytes: int) -> Flask:
    """Return the WSGI application."""
    app = Flask("actuator", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = max_body_bytes
    app.before_request(lambda: _authenticate(desk))
    app.add_url_rule("/alerts", "alerts", lambda: _elsewhere(desk) or _receive(desk), methods=["POST"])
    app.add_url_rule("/pause", "pause", lambda: _elsewhere(desk) or _switch(desk, paused=True), methods=["POST"])
    app.add_url_rule("/resume", "resume", lambda: _elsewhere(desk) or _switch(desk, paused=False), methods=["POST"])
    app.add_url_rule("/actions", "actions", lambda: _actions(desk))
    app.add_url_rule("/actions/<int:order_id>", "action", lambda order_id: _action(desk, order_id))
    app.add_url_rule("/metrics", "metrics", lambda: _metrics(desk))
    app.add_url_rule("/-/healthy", "healthy", lambda: _healthy(desk))
    app.add_url_rule("/-/ready", "ready", lambda: _ready(desk))
    app.add_url_rule("/", "page", lambda: Response(_PAGE, mimetype="text/html"))
    app.register_error_handler(HTTPException, lambda error: _refuse(desk, error.code or 500, error.description or ""))
    app.register_error_handler(LedgerError, lambda error: _refuse(desk, 503, f"the ledger does not work: {error}"))
    return app


def _authenticate(desk: Desk) -> Response | None:
    if request.method in ("GET", "HEAD", "OPTIONS") and desk.users is None:
        return None
    header = request.headers.get("Authorization", "")
    if desk.users is not None and desk.users.allows(header):
        return None
    try:
        allowed = desk.token.allows(header)
    except TokenError as error:
        # A 4xx would make Alertmanager drop the alert for good; 503 lets it try again.
        return _refuse(desk, 503, str(error))
    return None if allowed else _refuse(desk, 401, "send the bearer token: Authorization: Bearer ...")


def _elsewhere(desk: Desk) -> Response | None:
    """Send away what only the replica that works can take; Alertmanager tries again, and none of it is a fault."""
    return None if desk.acts() else _json({"error": "another replica leads, or none does yet; try again"}, 503)


def _receive(desk: Desk) -> Response:
    try:
        delivery = parse_delivery(request.get_data())
    except PayloadError as error:
        return _refuse(desk, 400, f"the body {error}")
    at = desk.clock()
    readings = [read_alert(alert, desk.cluster) for alert in delivery.alerts]
    if not all(is_watchdog(alert, desk.cluster) for alert in delivery.alerts):
        desk.ledger.record_delivery(delivery, readings, at)
    if any(is_watchdog(alert, desk.cluster) for alert in delivery.alerts):
        desk.gate.heard(at)
    _tell_refusals(readings)
    desk.wake()
    return _json({"recorded": len(delivery.alerts)}, 202)


def _tell_refusals(readings: Sequence[Reading]) -> None:
    for reading in readings:
        if isinstance(reading.result, Refusal) and reading.alert.firing:
            refusal = reading.result
            _log.info("refused", alert=reading.alert.name, reason=refusal.reason, detail=refusal.detail)


def _switch(desk: Desk, paused: bool) -> Response:
    desk.gate.pause() if paused else desk.gate.resume()
    _log.warning("switched by hand", paused=paused)
    desk.wake()
    return _json({"paused": paused})


def _actions(desk: Desk) -> Response:
    limit = request.args.get("limit", default=100, type=int)
    return _json({"actions": desk.ledger.actions(min(max(limit, 1), _MOST_ACTIONS))})


def _action(desk: Desk, order_id: int) -> Response:
    action = desk.ledger.action(order_id)
    return _refuse(desk, 404, f"there is no action {order_id}") if action is None else _json(action)


def _metrics(desk: Desk) -> Response:
    encoder, content_type = choose_encoder(request.headers.get("Accept", ""))
    return Response(encoder(desk.registry), content_type=content_type)


def _healthy(desk: Desk) -> Response:
    fault = desk.pulse.fault()
    return Response(f"{fault or 'Healthy.'}\n", 503 if fault else 200, mimetype="text/plain")


def _ready(desk: Desk) -> Response:
    ready = desk.pulse.beats
    return Response("Ready.\n" if ready else "The worker has stopped.\n", 200 if ready else 503, mimetype="text/plain")


def _refuse(desk: Desk, code: int, reason: str) -> Response:
    if str(code) in ("400", "401", "413", "503"):
        desk.meters.rejections.labels(str(code)).inc()
    response = _json({"error": reason}, code)
    if code == 401:
        response.headers["WWW-Authenticate"] = "Basic" if desk.users else "Bearer"
    return response


def _json(document: object, code: int = 200) -> Response:
    return Response(json.dumps(document, ensure_ascii=False) + "\n", code, mimetype="application/json")
