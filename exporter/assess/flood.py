"""Network floods: traffic far over a container's own past, one-sided or made of tiny packets."""

from dataclasses import dataclass

import numpy as np

from exporter.assess.robust import Numbers, columns, quantiles, ramp, recent, thin
from exporter.history.signals import COLUMN
from exporter.history.windows import Window

RECENT = 12.0
"""Seconds of traffic that count as now."""
LEAST_PAST = 60.0
LEAST_SAMPLES = 8
USUAL_LEVEL = 0.9
"""Quantile of the past that counts as usual: what was there a tenth of the time is no news."""
MOST_COLUMNS = 240


@dataclass(frozen=True)
class Flood:
    """[containers] each."""

    score: Numbers
    contrast: Numbers
    """Traffic now over the usual, whichever of packets and bytes rose more."""
    outward: Numbers
    """Share of bytes that leave, 0–1."""


def find(window: Window) -> Flood:
    """Return how much each container floods.

    Now must be 3 to 8 times the usual of before, over a floor (1000 to 5000 packets/s or 5 to 20 MB/s), and either
    one-sided (a reply is missing) or of small packets (120 to 300 bytes); a busy proxy has neither contrast nor shape.
    """
    received, sent = _now(window, "network_receive"), _now(window, "network_transmit")
    packets, total = _now(window, "network_packets"), received + sent
    volume = window.signals[:, COLUMN["network_receive"]] + window.signals[:, COLUMN["network_transmit"]]
    by_packets = _contrast(window.signals[:, COLUMN["network_packets"]], packets, 50.0, window.step)
    by_bytes = _contrast(volume, total, 1e4, window.step)
    with np.errstate(invalid="ignore", divide="ignore"):
        outward = np.nan_to_num(sent / total)
        one_sided = ramp(np.abs(sent - received) / total, 0.3, 0.7)
        tiny = ramp(total / packets, 300.0, 120.0) * ramp(packets, 1000.0, 5000.0)
    strength = np.maximum(
        np.minimum(ramp(by_packets, 3.0, 8.0), ramp(packets, 1000.0, 5000.0)),
        np.minimum(ramp(by_bytes, 3.0, 8.0), ramp(total, 5e6, 20e6)),
    )
    shape = np.maximum(one_sided, tiny)
    return Flood(strength * (0.4 + 0.6 * shape), np.fmax(by_packets, by_bytes), outward)


def _now(window: Window, signal: str) -> Numbers:
    return recent(window.signals[:, COLUMN[signal]], RECENT, window.step)


def _contrast(series: Numbers, now: Numbers, floor: float, step: float) -> Numbers:
    """Return ``now`` over the usual before the present run of high traffic; 0 without enough past.

    The run itself is left out, so that a flood does not become its own usual.
    """
    stride = -(-series.shape[1] // MOST_COLUMNS)
    series = thin(series, MOST_COLUMNS)
    with np.errstate(invalid="ignore"):
        calm = series < now[:, None] / 3
    last_calm = np.where(calm.any(axis=1), series.shape[1] - np.argmax(calm[:, ::-1], axis=1), 0)
    before = np.arange(series.shape[1])[None, :] < last_calm[:, None]
    past = np.where(before, series, np.nan)
    usual = quantiles(past, (USUAL_LEVEL,))[:, 0]
    enough = np.isfinite(past).sum(axis=1) >= columns(LEAST_PAST, step * stride, LEAST_SAMPLES)
    return np.where(enough, now / np.maximum(usual, floor), 0.0)
