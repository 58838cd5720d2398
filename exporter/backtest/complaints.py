"""What went wrong between us and Prometheus, in one line that says what to do."""

import ast
import json
import re

import requests
from prometheus_api_client.exceptions import PrometheusApiClientException

_STATUS = re.compile(r"HTTP Status Code (\d+) \((.*)\)", re.DOTALL)
_CAUSE = re.compile(r"\[Errno -?\d+\] ([^'\")]+)")
_LOGIN = re.compile(r"(^|//|[\s'\"])[^/?#\s@]*:[^/?#\s]*@")
_LONGEST = 300


def complaint(error: OSError, url: str) -> str:
    """Return one line for what ``exporter.sources.prometheus`` raised; a password in ``url`` is not shown."""
    shown = without_password(url)
    cause = error.__cause__ or error
    text = " ".join(without_password(str(cause)).split())
    if isinstance(cause, PrometheusApiClientException):
        return _refused(str(cause), shown)
    if isinstance(cause, requests.exceptions.SSLError):
        return (
            f"{shown}: its certificate is not trusted; name its authority with REQUESTS_CA_BUNDLE=FILE ({_cut(text)})"
        )
    if isinstance(cause, requests.Timeout) or "timed out" in text:
        return f"{shown}: no answer in time; check the address, or ask for fewer series or a shorter --span"
    if isinstance(cause, requests.ConnectionError):
        found = _CAUSE.search(text)
        return f"{shown}: cannot be reached ({found[1] if found else _cut(text)})"
    if isinstance(cause, requests.exceptions.JSONDecodeError | KeyError | TypeError):
        return f"{shown}: answers, but not with series of numbers as Prometheus does; check the address and --query"
    return _cut(text if text.startswith(shown) else f"{shown}: {text}")


def without_password(text: str) -> str:
    """Return an address, or a text that quotes one, as it may be shown."""
    return _LOGIN.sub(r"\1", text)


def _refused(text: str, shown: str) -> str:
    """Return the line for an answer with another status than 200: the client quotes status and body."""
    found = _STATUS.search(text)
    if found is None:
        return f"{shown}: {_cut(text)}"
    status, said = int(found[1]), _said(found[2])
    if status in {401, 403}:
        return f"{shown}: wants a login (HTTP {status}); write http://USER:PASSWORD@HOST:PORT or use ~/.netrc"
    if status in {400, 422}:
        return f"--query: Prometheus refuses it (HTTP {status}): {_cut(said)}"
    return f"{shown}: answers HTTP {status}: {_cut(said)}"


def _said(quoted: str) -> str:
    """Return Prometheus's own words, or else the body."""
    try:
        body = bytes(ast.literal_eval(quoted)).decode("utf-8", "replace")
    except (ValueError, SyntaxError, TypeError):
        body = quoted
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return body


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
