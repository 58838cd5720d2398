"""Moves, from the first step to the last: the steps up to the eviction, and then the wait until the pod has landed."""

from contextlib import ExitStack
from functools import partial

import structlog

from actuator.crew import Crew
from actuator.execute import Executor, put_back
from actuator.ledger.protocol import Ledger
from actuator.model.decisions import Step, StepOutcome, StepState
from actuator.model.orders import Target
from actuator.moving import STEERING_DOWN, Check, Hands
from actuator.placement import Landing
from actuator.platforms.errors import ConflictError, GoneError, PlatformError, RejectedError, UnsettledError
from actuator.platforms.protocol import Platform
from actuator.records import Migration, StepRecord

_SWEEP_SECONDS = 60.0
_LOOK_SECONDS = 5.0
"""A move is looked at no more often: each look asks the API server for a namespace's pods."""
_log = structlog.get_logger(__name__)


class MovingExecutor(Executor):
    """Carries out the steps of moves too, up to the eviction."""

    def __init__(self, platform: Platform, hands: Hands, steering: Check) -> None:
        super().__init__(platform)
        self._hands, self._steering = hands, steering

    def apply(self, target: Target, step: Step) -> StepOutcome:
        """Do the step, as ``Executor``. To steer is nothing but its record: the webhook is told from the ledger."""
        match step.kind:
            case "place":
                return self._place(target, step)
            case "steer":
                return StepOutcome(StepState.DONE)
            case "evict":
                return self._evict(target, step)
        return super().apply(target, step)

    def _place(self, target: Target, step: Step) -> StepOutcome:
        try:
            newest = self._hands.place(target, step.uid, step.node)
        except PlatformError as error:
            return put_back(error)
        return StepOutcome(StepState.DONE, after_raw=str(newest))

    def _evict(self, target: Target, step: Step) -> StepOutcome:
        try:
            self._be_steered()
            self._hands.evict(target, step.uid)
        except GoneError:
            return StepOutcome(StepState.DONE)
        except (ConflictError, RejectedError) as error:
            return put_back(error)
        except PlatformError as error:
            return self._unanswered(target, step, error)
        return StepOutcome(StepState.DONE)

    def _be_steered(self) -> None:
        if problem := self._steering():
            raise ConflictError(f"it could land anywhere: {problem}", STEERING_DOWN)

    def _unanswered(self, target: Target, step: Step, failure: PlatformError) -> StepOutcome:
        """A call whose answer was lost may have been carried out all the same."""
        try:
            evicted = self._hands.evicted(target, step.uid)
        except PlatformError as error:
            raise UnsettledError(f"nobody can tell whether pod {target.pod} was evicted: {error}") from failure
        return StepOutcome(StepState.DONE) if evicted else put_back(failure)


class Relocations:
    """Sees every move through that was begun, whoever began it: this process, or one that died."""

    def __init__(self, ledger: Ledger, hands: Hands, crew: Crew) -> None:
        self._ledger, self._hands, self._crew = ledger, hands, crew
        self._next_sweep = 0.0
        self._next_look: dict[int, float] = {}

    def tend(self, at: float) -> None:
        """Take each move a step further, where that can be done at epoch seconds ``at`` and a hand is free for it.

        One hand is left to orders, however many moves there are and however long a look takes.
        """
        for migration in self._due(at)[: max(self._crew.free - 1, 0)]:
            with ExitStack() as right:
                if right.enter_context(self._ledger.acting(migration.target)):
                    self._next_look[migration.order_id] = at + _LOOK_SECONDS
                    self._crew.begin(right.pop_all(), partial(self._try, migration.order_id, at))
        if at >= self._next_sweep:
            self._sweep(at)

    def _due(self, at: float) -> list[Migration]:
        """Return the moves to look at, the one that has waited longest first."""
        underway = self._ledger.migrations()
        self._next_look = {each.order_id: self._next_look.get(each.order_id, 0.0) for each in underway}
        due = [each for each in underway if self._next_look[each.order_id] <= at]
        return sorted(due, key=lambda each: self._next_look[each.order_id])

    def _try(self, order_id: int, at: float) -> None:
        """With the right to touch the pod nothing is underway: what is unfinished waits, or was left by a crash."""
        now = next((each for each in self._ledger.migrations() if each.order_id == order_id), None)
        if now is None:
            return
        try:
            self._tend(now, at)
        except PlatformError as error:
            _log.warning("move not seen through", order=order_id, pod=now.target.pod, error=str(error))

    def _tend(self, migration: Migration, at: float) -> None:
        evict, uid = migration.steps["evict"], migration.steps["evict"].step.uid
        unsure = evict.state in (StepState.STARTED, StepState.FAILED)
        done = evict.state is StepState.DONE or (unsure and self._hands.evicted(migration.target, uid))
        if evict.state is StepState.STARTED and done:
            self._end(evict, StepOutcome(StepState.DONE), at)
        if not done:
            self._give_up(migration, at)
        elif not self._landed(migration, at):
            return
        self._clear(migration.steps["clear"], at)

    def _give_up(self, migration: Migration, at: float) -> None:
        for record in migration.steps.values():
            if record.step.kind != "clear" and record.state in (StepState.PLANNED, StepState.STARTED):
                self._end(record, StepOutcome(StepState.CANCELLED, error="the move was given up"), at)

    def _landed(self, migration: Migration, at: float) -> bool:
        """Return whether there is nothing more to wait for."""
        land = migration.steps["land"]
        if land.state is StepState.PLANNED and not self._ledger.begin_step(land, at):
            return False
        if land.state not in (StepState.PLANNED, StepState.STARTED):
            return True
        uid, step = migration.steps["evict"].step.uid, land.step
        # The decision may rest on an older look: a pod made between the two is nobody's replacement.
        made_after = max(step.due_at or 0.0, float(migration.steps["place"].after_raw or 0.0))
        found = self._hands.landing(migration.target, uid, step.uid, made_after)
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

    def _clear(self, clear: StepRecord, at: float) -> None:
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
