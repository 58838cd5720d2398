"""Logs on standard error, in the two formats of the other programs, from the standard library alone."""

import json
import logging
import time

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("logfmt", "json")


class _Formatter(logging.Formatter):
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self, style: str) -> None:
        super().__init__()
        self.converter = time.gmtime
        self._json = style == "json"

    def format(self, record: logging.LogRecord) -> str:
        fields = {"timestamp": self.formatTime(record), "level": record.levelname.lower(), "event": record.getMessage()}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        if self._json:
            return json.dumps(fields)
        return " ".join(f"{key}={json.dumps(text) if ' ' in text else text}" for key, text in fields.items())


def set_up_logging(level: str, style: str) -> None:
    """Log from ``level`` up, as ``logfmt`` or ``json`` lines."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter(style))
    logging.basicConfig(level=level.upper(), handlers=[handler])
