"""What the scores are, a row per container of the window they were made from."""

from dataclasses import dataclass
from typing import Final

from exporter.history.windows import Bools, Floats, Integers

INTERFERENCE: Final = ("cpu", "memory", "disk_io", "network_io", "threads", "memory_bandwidth")
"""What containers get in each other's way over, in the order of the arrays."""

TOP_VICTIMS: Final = 3
"""Victims named per culprit and resource."""


@dataclass(frozen=True)
class Cause:
    """One cause of one score."""

    score: str
    """As in cpp_alarm_threshold_ratio."""
    name: str
    """A system call, a destination, a kind of excess or a signal."""
    strength: float
    """How unusual, 0–1."""


@dataclass(frozen=True)
class Scores:
    """Scores from 0 to 1; rows as in the window."""

    lives: Integers
    """[containers], as in Window."""
    cpu_burst: Floats
    """[containers], short excursions of CPU far over its usual level."""
    memory_leak: Floats
    """[containers], belief in steady growth that does not end by itself."""
    network_flood: Floats
    """[containers], traffic far over its past, one-sided or of tiny packets."""
    suffered: Floats
    """[containers, INTERFERENCE], how much others hold this container up."""
    caused: Floats
    """[containers, INTERFERENCE, TOP_VICTIMS], its share in a victim's trouble times the trouble, worst first."""
    victims: Integers
    """[containers, INTERFERENCE, TOP_VICTIMS], the victim's row; -1 where there is none."""
    exhaustion_seconds: Floats
    """[containers], time until the growing memory meets its limit; NaN where none is in sight."""
    anomaly: Floats
    """[containers], how far behaviour is from its own past."""
    security_risk: Floats
    """[containers], how bad the calls are that the workload never made while it was learned."""
    profile_finished: Bools
    """[containers], whether the workload's calls were watched long enough to judge by."""
    reasons: tuple[tuple[str, ...], ...]
    """[containers], why the high scores are high, the strongest first; empty where none is."""
    causes: tuple[tuple[Cause, ...], ...]
    """[containers], the causes of a high risk and a high anomaly by a word each, the strongest first."""
