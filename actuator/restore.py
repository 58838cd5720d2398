"""Give back what the owner had set, by the same executor and ledger as any other action."""

from collections.abc import Callable, Iterable

from actuator.carry import Carrier
from actuator.decide import restore
from actuator.decide.limits import Limits
from actuator.decide.undo import held_up
from actuator.ledger.protocol import Ledger
from actuator.model.decisions import Refusal, StepState
from actuator.model.knowledge import Allocation
from actuator.model.orders import Target
from actuator.platforms.errors import PlatformError
from actuator.platforms.protocol import Platform
from actuator.records import Origin


def touched(ledger: Ledger, platform: Platform, wanted: str | None) -> list[Target]:
    """Return containers that were changed: all, or those whose name or pod is, or whose id begins with, ``wanted``.

    The ledger says so, or the platform itself, which remembers for an actuator whose ledger was lost.
    """
    places = {_place(held.target): held.target for held in ledger.held()}
    places |= {_place(owner.target): owner.target for owner in platform.remembered()}
    targets = sorted(places.values(), key=str)
    if wanted is None:
        return targets
    return [t for t in targets if wanted in (t.container, t.pod) or t.container_id.startswith(wanted)]


def _place(target: Target) -> tuple[str, ...]:
    """A container that was restarted in its pod is the same place with another id."""
    return (target.namespace, target.pod, target.container) if target.pod else (target.container_id, target.container)


class Restorer:
    """Restores containers one by one; safe beside a running actuator."""

    def __init__(
        self, ledger: Ledger, platform: Platform, carrier: Carrier, limits: Limits, clock: Callable[[], float]
    ) -> None:
        self._ledger, self._platform, self._carrier = ledger, platform, carrier
        self._limits, self._clock = limits, clock

    def restore(self, targets: Iterable[Target]) -> list[tuple[Target, str, bool]]:
        """Return for each target what happened, in a sentence, and whether its owner's limits are in force now."""
        results = []
        for target in targets:
            with self._ledger.acting(target, wait=True):
                results.append((target, *self._restore(target)))
        return results

    def _restore(self, target: Target) -> tuple[str, bool]:
        try:
            allocation = self._platform.inspect(target)
        except PlatformError as error:
            return str(error), False
        if allocation is None:
            self._ledger.forget_container(target)
            return "is gone", True
        if not allocation.running:
            return "does not run; start it and restore again", False
        return self._give_back(target, allocation)

    def _give_back(self, target: Target, allocation: Allocation) -> tuple[str, bool]:
        at = self._clock()
        self._ledger.note_allocation(target, allocation, at)
        owner = self._ledger.owner_limits(target, allocation)
        if owner is None:
            return "was never changed", True
        verdict = restore(owner, allocation, self._limits)
        if isinstance(verdict, Refusal):
            done = verdict.reason == "nothing_to_restore"
            return self._forgotten(target, verdict.detail, done)
        order_id = self._ledger.open_restore(target, at)
        self._carrier.carry_out(self._ledger.record_plan(order_id, target, verdict, Origin.RESTORE, at))
        said, done = self._result(order_id)
        memory = [step.after for step in verdict.steps if step.resource == "memory"] or [allocation.memory_limit]
        short = held_up(owner, memory[-1])
        return self._forgotten(target, f"{said}; {short}" if short else said, done and not short)

    def _forgotten(self, target: Target, said: str, done: bool) -> tuple[str, bool]:
        if not done:
            return said, False
        try:
            self._platform.forget(target)
        except PlatformError as error:
            return f"{said}; what the owner had set is still written on it: {error}", False
        return said, True

    def _result(self, order_id: int) -> tuple[str, bool]:
        action = self._ledger.action(order_id) or {"decisions": []}
        steps = [step for decision in action["decisions"] for step in decision["steps"]]
        said = "; ".join(
            f"{step['resource']} {step['before_raw']} -> {step['after_raw']} in {step['kernel_file']}"
            if step["state"] == StepState.DONE
            else f"{step['resource']} {step['state']}: {step['error']}"
            for step in steps
        )
        return said, all(step["state"] == StepState.DONE for step in steps)
