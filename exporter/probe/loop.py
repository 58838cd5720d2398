"""Keep the program that counts running."""

import logging
import re
import time
from typing import Never

from exporter.probe import kernel
from exporter.probe.needs import first_lack
from exporter.probe.probe import Probe
from exporter.probe.stream import Print, Said, parse

_log = logging.getLogger(__name__)

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
_SHORTEST, _LONGEST = 0.1, 60.0
"""Seconds between prints."""


def count_forever(probe: Probe, interval: float) -> Never:
    """Feed the probe; when the program ends, start it again after a pause that doubles while nothing improves.

    What is wrong is said once, until something else is wrong or it was right for a while.
    """
    pause, told = _FIRST_PAUSE, ""
    while True:
        started = time.monotonic()
        reason = first_lack(kernel.path())
        if reason is None:
            reason = f"{kernel.NAME} ended {count_once(probe, interval)}"
            probe.ended()
        if time.monotonic() - started > _LONGEST_PAUSE:
            pause, told = _FIRST_PAUSE, ""
        if reason != told:
            _log.error("nothing is counted: %s (tried again from time to time)", reason)
        told = reason
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def count_once(probe: Probe, interval: float) -> str:
    """Feed the probe until the program ends; return its code and the last thing that it said to a person.

    What it said before a print was no reason to end.
    """
    said = ""
    with kernel.running(interval) as running:
        for event in parse(running.lines, time.time):
            if isinstance(event, Said):
                said = event.text
                _log.debug("%s: %s", kernel.NAME, said)
            elif isinstance(event, Print):
                said = ""
            probe.take(event)
            if cgroups := probe.leave_out():
                running.leave_out(cgroups)
        return f"with code {running.wait()}: {said or 'it said nothing'}"


def parse_interval(text: str) -> float:
    """Return seconds for ``500ms`` or ``1s``.

    Shorter than 100 ms costs more than it shows; over a minute the exporter's readings find nothing new, and the
    kernel's maps fill before they are read. Raises ValueError for these and for what is no interval.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s)", text)
    seconds = float(match[1]) * (0.001 if match[2] == "ms" else 1.0) if match else 0.0
    if not _SHORTEST <= seconds <= _LONGEST:
        raise ValueError(text)
    return seconds
