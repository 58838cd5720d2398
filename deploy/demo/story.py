"""What must happen in each of the demo's stories, judged by what was seen and not by what was claimed."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from deploy.demo.ledger import Verdict
from deploy.demo.limits import Change
from deploy.demo.workloads import BUSY, DEMAND, SERVICE_LIMIT, Rhythm

_MATCH_SECONDS = 6.0
_WORKED_OFF = 1.2 * BUSY * DEMAND / SERVICE_LIMIT
"""Seconds after a rise, a fifth to spare."""


@dataclass(frozen=True)
class Act:
    """A change in the kernel, and the decision that explains it."""

    change: Change
    verdict: Verdict


@dataclass
class Story:
    """All that was seen so far."""

    service: str
    leak: str
    noise: str
    victim: str
    rhythm: Rhythm
    verdicts: list[Verdict] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    rises: list[tuple[float, float]] = field(default_factory=list)
    """(epoch seconds of a rise of the service's demand, throttled share of the periods after it)."""

    def acts(self) -> list[Act]:
        """Return each change that a decision of the ledger explains, in order."""
        pairs = ((change, explain(change, self.verdicts)) for change in self.changes)
        return [Act(change, verdict) for change, verdict in pairs if verdict]

    def missing(self) -> list[str]:
        """Return what has not happened yet; empty when all stories are complete."""
        return [*self._service_missing(), *self._leak_missing(), *self._noise_missing()]

    def activation(self) -> Act | None:
        """Return the service's first raise that came while its demand was low and a reservation was held."""
        for act in self.acts():
            raised = act.change.container == self.service and act.verdict.intent == "activate"
            if raised and act.change.resource == "cpu" and self._quiet(act.change.at) and self._reserved(act.change.at):
                return act
        return None

    def _service_missing(self) -> Iterable[str]:
        act = self.activation()
        if act is None:
            yield "CPU reserved for the service and activated before its demand rose"
        elif not [rise for rise, _ in self.rises if rise > act.change.at]:
            yield "the service's demand rising after its CPU was activated"

    def _leak_missing(self) -> Iterable[str]:
        raises = [act for act in self.acts() if act.change.container == self.leak and act.change.resource == "memory"]
        if not [act for act in raises if act.change.memory_used < float(act.change.before)]:
            yield "the leak called and given more memory before it met its limit"

    def _noise_missing(self) -> Iterable[str]:
        if not [act for act in self.acts() if act.change.container == self.noise and act.verdict.intent == "relieve"]:
            yield "the noisy neighbour named and throttled"
        if [change for change in self.changes if change.container == self.victim]:
            yield "the victim left alone (its limit was changed)"

    def _quiet(self, at: float) -> bool:
        """A throttled burst takes as much longer as its limit is under its demand; after that the demand is low."""
        return self.rhythm.since_rise(at) > _WORKED_OFF

    def _reserved(self, at: float) -> bool:
        mine = (verdict for verdict in self.verdicts if verdict.container == self.service)
        return any(verdict.done("reserve") and verdict.at < at for verdict in mine)


def explain(change: Change, verdicts: Iterable[Verdict]) -> Verdict | None:
    """Return the decision whose step changed this limit: same container and resource, done at that time."""
    for verdict in verdicts:
        same = (verdict.container, verdict.resource) == (change.container, change.resource)
        times = [step[4] for step in verdict.steps if step[0] == "set_limit" and step[1] == "done"]
        if same and any(abs(ended - change.at) < _MATCH_SECONDS for ended in times):
            return verdict
    return None
