"""Tells a person what happens, as it happens: each alert, decision and change once."""

import re
import time
from dataclasses import dataclass, field

from deploy.demo.kernel import LimitFiles
from deploy.demo.ledger import FiringAlert, Verdict
from deploy.demo.limits import Change
from deploy.demo.workloads import Rhythm
from deploy.setup.shell import say


@dataclass
class Narrator:
    """Knows what it has told already."""

    run: str
    began: float = field(default_factory=time.time)
    _told: set[object] = field(default_factory=set)

    def line(self, text: str) -> None:
        """Tell one line, with the seconds since the start."""
        say(f"[{time.time() - self.began:4.0f} s] {text.replace(f'{self.run}-', '')}")

    def alerts(self, firing: list[FiringAlert]) -> None:
        """Tell the alerts that are new."""
        for alert in firing:
            if alert.container.startswith(self.run) and self._new(("alert", alert.name, alert.container)):
                self.line(f"alert {alert.name}: {alert.description}")

    def verdicts(self, verdicts: list[Verdict]) -> None:
        """Tell the decisions that are new; a reservation shows in the ledger only."""
        for verdict in verdicts:
            what = f"{verdict.container}: {verdict.intent} {verdict.resource}".strip()
            if verdict.refused:
                # The same refusal with other figures is no news.
                if self._new(("refused", what, re.sub(r"[\d.]+", "", verdict.decision))):
                    self.line(f"actuator, {what}: refused, {verdict.decision}")
            elif verdict.steps and self._new(("plan", verdict.order, verdict.number)):
                self.line(f"actuator, {what}: {verdict.decision}")

    def change(self, change: Change, rhythm: Rhythm) -> None:
        """Tell a change in the kernel, and for the service's CPU how long before its demand rises."""
        name = change.kernel_file.rpartition("/")[2]
        ahead = f", {rhythm.next_rise(change.at) - change.at:.0f} s before its demand rises again"
        note = ahead if change.resource == "cpu" and change.container.endswith("-service") else ""
        self.line(f"kernel, {change.container}: {name} was {change.before}, is {change.after}{note}")

    def _new(self, key: object) -> bool:
        fresh = key not in self._told
        self._told.add(key)
        return fresh


@dataclass
class RiseWatch:
    """Measures how much the kernel held the service back in each busy time."""

    files: LimitFiles
    rhythm: Rhythm
    rises: list[tuple[float, float]] = field(default_factory=list)
    _open: tuple[float, tuple[int, int]] | None = None

    def look(self, now: float) -> str | None:
        """Return a line when a busy time begins or ends."""
        busy = self.rhythm.busy(now)
        if busy and self._open is None:
            self._open = (now - self.rhythm.since_rise(now), self.files.throttled())
            return "service: its demand rises now"
        if not busy and self._open is not None:
            rise, (periods, throttled) = self._open
            periods_now, throttled_now = self.files.throttled()
            share = (throttled_now - throttled) / max(1, periods_now - periods)
            self.rises.append((rise, share))
            self._open = None
            return f"service: its busy time is over; the kernel held it back in {share:.0%} of its periods"
        return None
