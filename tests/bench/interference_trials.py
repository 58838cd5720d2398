"""Trials of live interference: who runs beside whom, when, and for how long. Everything follows from a seed."""

import random
from dataclasses import asdict, dataclass

KINDS = ("cpu", "disk_io", "threads", "network_io", "memory_bandwidth")
EACH = 10
"""Trials of a kind; every other one has busy bystanders."""
QUIET_BLOCKS, QUIET_SECONDS = 4, 300.0
CALM, DISTURBED = (15.0, 20.0), 20.0
"""Seconds before a culprit begins, shortest and longest, and seconds for which it goes on."""
_STRESS = "/usr/bin/stress-ng --temp-path /data"
_CULPRITS = {
    "cpu": (f"{_STRESS} --cpu 2 --cpu-method matrixprod", f"{_STRESS} --cpu 3", "/workload spin --threads 4"),
    "disk_io": (
        f"{_STRESS} --hdd 8 --hdd-bytes 64M --hdd-opts direct --hdd-write-size 1M",
        f"{_STRESS} --hdd 2 --hdd-bytes 512M",
        f"{_STRESS} --hdd 12 --hdd-bytes 32M --hdd-opts direct --hdd-write-size 4M",
    ),
    "threads": (f"{_STRESS} --fork 3", f"{_STRESS} --vfork 3", f"{_STRESS} --pthread 2 --pthread-max 16"),
    "network_io": (
        "/workload flood --to {gateway}:9 --length 64 --threads 3",
        "/workload flood --to {gateway}:9 --length 1400 --threads 3",
        "/workload flood --to {victim}:9 --length 200 --threads 2",
    ),
    "memory_bandwidth": (
        f"{_STRESS} --stream 2 --stream-l3-size 64M",
        f"{_STRESS} --memrate 2 --memrate-bytes 256M",
        f"{_STRESS} --cache 2",
    ),
}
_IDLE = ("sleep",)
_BUSY = (
    ("rhythm", "--low=0.05", "--high=0.25", "--period=10s", "--high-for=4s"),
    ("net-client", "--to={gateway}:{sink}", "--rate=2MiB/s"),
    ("write", "--file=/data/f", "--bytes=4GiB", "--rate=1MiB/s", "--fsync"),
    ("spawn", "--rate=10", "--processes"),
    ("syscalls", "--rate=2000"),
    ("cpu", "--duty=0.15", "--period=50ms"),
)
"""What harmless bystanders do; the heaviest three together use about .4 cores."""


@dataclass(frozen=True)
class Trial:
    """One trial, or one block of quiet time where ``culprit`` is empty."""

    number: int
    kind: str
    busy: bool
    """Whether the bystanders work."""
    calm: float
    disturbed: float
    """Seconds; a quiet block is all calm."""
    culprit: str
    """Command line of the culprit's container; {gateway} and {victim} are addresses."""
    appears: bool
    """Whether the culprit's container is started when it begins; else it has been there, asleep."""
    bystanders: tuple[tuple[str, ...], ...]
    order: tuple[int, ...]
    """Names that victim, bystanders and culprit get, so that a name tells nothing."""


def plan(seed: int) -> list[Trial]:
    """Return all trials and quiet blocks in the order in which they are to be made."""
    dice = random.Random(seed)
    drafts = [(kind, nth) for kind in KINDS for nth in range(EACH)]
    drafts += [("quiet", nth) for nth in range(QUIET_BLOCKS)]
    dice.shuffle(drafts)
    return [_trial(number, kind, nth, dice) for number, (kind, nth) in enumerate(drafts)]


def _trial(number: int, kind: str, nth: int, dice: random.Random) -> Trial:
    busy = nth % 2 == 1
    quiet = kind == "quiet"
    return Trial(
        number=number,
        kind=kind,
        busy=busy,
        calm=QUIET_SECONDS if quiet else round(dice.uniform(*CALM), 1),
        disturbed=0.0 if quiet else DISTURBED,
        culprit="" if quiet else dice.choice(_CULPRITS[kind]),
        appears=dice.random() < 0.5,
        bystanders=tuple(dice.sample(_BUSY, 3)) if busy else (_IDLE,) * 3,
        order=tuple(dice.sample(range(5), 5)),
    )


def described(trial: Trial) -> dict[str, object]:
    """Return the trial as plain data."""
    return asdict(trial)
