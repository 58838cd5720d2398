"""The mutating admission webhook: the API server asks it about each new pod of the namespaces that opted in."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from flask import Flask, Response, jsonify, request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from actuator.certificates import SECTION, server_context, tls_files
from actuator.config import AdmissionConfig
from actuator.ledger.database import LedgerError
from actuator.server import TlsSource, listen, serving
from actuator.steering import Steering

_REVIEW_BYTES = 4 * 2**20
"""The API server takes no object of more than 3 MB."""
_log = structlog.get_logger(__name__)


class _Request(BaseModel):
    uid: str
    namespace: str = ""
    dry_run: bool = Field(default=False, alias="dryRun")
    pod: dict[str, Any] = Field(alias="object")

    model_config = ConfigDict(frozen=True)


class _Review(BaseModel):
    api_version: str = Field(alias="apiVersion")
    request: _Request

    model_config = ConfigDict(frozen=True)


def create_admission(steering: Steering) -> Flask:
    """Return the application of ``POST /mutate``. It never forbids: what it cannot answer is let through unchanged."""
    app = Flask("admission")
    app.config["MAX_CONTENT_LENGTH"] = _REVIEW_BYTES

    @app.post("/mutate")
    def mutate() -> Response | tuple[Response, int]:
        try:
            review = _Review.model_validate(request.get_json(silent=True))
        except ValidationError as error:
            return jsonify(error=f"is no AdmissionReview of a pod: {error.errors()[0]['msg']}"), 400
        return jsonify(
            apiVersion=review.api_version, kind="AdmissionReview", response=_answer(steering, review.request)
        )

    return app


@contextmanager
def admitting(section: AdmissionConfig | None, app: Flask | None) -> Iterator[None]:
    """Answer the API server until the block ends, where the configuration says where; raise ConfigError."""
    if section is None or app is None:
        yield
        return
    server_context(section)
    with serving(app, listen(section.listen_address), _REVIEW_BYTES, TlsSource(SECTION, tls_files(section))):
        _log.info("admitting", address=section.listen_address)
        yield


def _answer(steering: Steering, asked: _Request) -> dict[str, Any]:
    response: dict[str, Any] = {"uid": asked.uid, "allowed": True}
    try:
        patch = steering.patch(asked.pod, asked.namespace, asked.dry_run)
    except LedgerError as error:
        _log.error("not steered", error=str(error))
        return response
    if patch:
        response |= {"patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(patch).encode()).decode()}
    return response
