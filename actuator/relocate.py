"""Moves, from the first step to the last: the steps up to the eviction, and then the wait until the pod has landed."""

from typing import Protocol

import structlog

from actuator.ledger.protocol import Ledger
from actuator.model import Step, StepOutcome, StepState, Target
from actuator.placement import Landing
from actuator.platforms.errors import ConflictError, GoneError, PlatformError, RejectedError
from actuator.records import Migration, StepRecord

MOVE_STEPS = ("place", "steer", "evict", "land", "clear")
AFTERWARDS = ("land", "clear")
"""What is left to ``Relocations.tend``: it waits for others, or ends what was begun."""
_SWEEP_SECONDS = 60.0
_log = structlog.get_logger(__name__)


class Hands(Protocol):
    """A platform that moves pods. Every method may raise the errors of ``platforms.errors``; each may be repeated."""

    def place(self, target: Target, uid: str, node: str) -> None:
        """Hold room on ``node`` for all that the pod requests."""

    def evict(self, target: Target, uid: str) -> None:
        """Evict the pod of this uid, while room is held for it."""

    def evicted(self, target: Target, uid: str) -> bool:
        """Tell whether that pod is gone or on its way out."""

    def landing(self, target: Target, uid: str, controller: str, made_after: float) -> Landing | None:
        """Return where its replacement is; None where there is none yet."""

    def clear(self, uid: str) -> None:
        """Hold no more room for it."""

    def steered(self, namespace: str, uid: str) -> bool:
        """Tell whether a replacement was steered already and is there."""

    def held(self) -> list[str]:
        """Return the uids of the pods for whose moves room is held."""


class Relocator:
    """Carries out ``place``, ``steer`` and ``evict``."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands

    def apply(self, target: Target, step: Step) -> StepOutcome:
        """Do the step. To steer is nothing but its record: whoever makes the replacement is told from the ledger."""
        try:
            if step.kind == "place":
                self._hands.place(target, step.uid, step.node)
            elif step.kind == "evict":
                return self._evict(target, step)
        except PlatformError as error:
            return StepOutcome(StepState.REVERTED, error=str(error))
        return StepOutcome(StepState.DONE)

    def _evict(self, target: Target, step: Step) -> StepOutcome:
        try:
            self._hands.evict(target, step.uid)
        except (ConflictError, RejectedError) as error:
            return StepOutcome(StepState.REVERTED, error=str(error))
        except PlatformError as error:
            # A call whose answer was lost may have been carried out all the same.
            if not isinstance(error, GoneError) and not self._hands.evicted(target, step.uid):
                return StepOutcome(StepState.REVERTED, error=str(error))
        return StepOutcome(StepState.DONE)


class Relocations:
    """Sees every move through that was begun, whoever began it: this process, or one that died."""

    def __init__(self, ledger: Ledger, hands: Hands) -> None:
        self._ledger, self._hands = ledger, hands
        self._next_sweep = 0.0

    def tend(self, at: float) -> None:
        """Take each move a step further, where that can be done at epoch seconds ``at``."""
        for migration in self._ledger.migrations():
            order = self._ledger.order(migration.order_id)
            with self._ledger.acting(order.target if order else migration.target) as free:
                if free:
                    self._try(migration, at)
        if at >= self._next_sweep:
            self._sweep(at)

    def _try(self, migration: Migration, at: float) -> None:
        now = next((each for each in self._ledger.migrations() if each.order_id == migration.order_id), None)
        if now is None:
            return
        try:
            self._tend(now, at)
        except PlatformError as error:
            _log.warning("move not seen through", order=now.order_id, pod=now.target.pod, error=str(error))

    def _tend(self, migration: Migration, at: float) -> None:
        evict, uid = migration.steps["evict"], migration.steps["evict"].step.uid
        unsure = evict.state in (StepState.STARTED, StepState.FAILED)
        done = evict.state is StepState.DONE or (unsure and self._hands.evicted(migration.target, uid))
        if evict.state is StepState.STARTED and done:
            self._end(evict, StepOutcome(StepState.DONE, error=""), at)
        if done and not self._landed(migration, at):
            return
        self._clear(migration, at)

    def _landed(self, migration: Migration, at: float) -> bool:
        """Return whether there is nothing more to wait for."""
        land = migration.steps["land"]
        if land.state is StepState.PLANNED and not self._ledger.begin_step(land, at):
            return False
        if land.state not in (StepState.PLANNED, StepState.STARTED):
            return True
        uid, step = migration.steps["evict"].step.uid, land.step
        found = self._hands.landing(migration.target, uid, step.uid, step.due_at or 0.0)
        if found is not None and found.ready:
            self._end(land, _arrived(land, found), at)
        elif at >= (step.expires_at or at):
            where = (
                "no replacement was made" if found is None else f"{found.pod} on {found.node or 'no node'} is not Ready"
            )
            self._end(land, StepOutcome(StepState.FAILED, error=f"{where} in time"), at)
        else:
            return False
        return True

    def _clear(self, migration: Migration, at: float) -> None:
        for kind in MOVE_STEPS[:-1]:
            record = migration.steps[kind]
            if record.state in (StepState.PLANNED, StepState.STARTED):
                self._end(record, StepOutcome(StepState.CANCELLED, error="the move was given up"), at)
        clear = migration.steps["clear"]
        if clear.state is StepState.PLANNED:
            self._ledger.begin_step(clear, at)
        else:
            self._ledger.begin_again(clear)
        self._hands.clear(clear.step.uid)
        self._end(clear, StepOutcome(StepState.DONE), at)

    def _sweep(self, at: float) -> None:
        """Drop what is held for a move that the ledger knows nothing of."""
        self._next_sweep = at + _SWEEP_SECONDS
        try:
            held = self._hands.held()  # before the ledger is asked, where each move is recorded before room is held
            for uid in set(held) - {each.steps["place"].step.uid for each in self._ledger.migrations()}:
                self._hands.clear(uid)
                _log.info("hold without a move dropped", uid=uid)
        except PlatformError as error:
            _log.warning("holds for moves kept", error=str(error))

    def _end(self, record: StepRecord, outcome: StepOutcome, at: float) -> None:
        self._ledger.end_step(record, outcome, at)
        log = _log.error if outcome.state is StepState.FAILED else _log.info
        done = {"order": record.order_id, "pod": record.target.pod, "kind": record.step.kind, "node": record.step.node}
        log("step", **done, state=str(outcome.state), found=outcome.after_raw, error=outcome.error)


def _arrived(land: StepRecord, found: Landing) -> StepOutcome:
    """Landing elsewhere is recorded, and not tried again: the pod had one restart already."""
    pod = f"pod {land.target.namespace}/{found.pod}"
    return StepOutcome(StepState.DONE, pod, land.target.node, found.node)
