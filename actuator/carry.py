"""Carry out a plan: record, act, record. Nothing is done to a container outside of this module and recovery."""

from collections.abc import Callable, Sequence

import structlog

from actuator.ledger.protocol import Ledger
from actuator.model.decisions import Refusal, StepOutcome, StepState
from actuator.moving import AFTERWARDS
from actuator.platforms.errors import UnsettledError
from actuator.records import StepRecord
from actuator.seams import Executor

Check = Callable[[], Refusal | None]

_log = structlog.get_logger(__name__)


class Carrier:
    """Takes recorded steps through the executor and the ledger, one after the other."""

    def __init__(self, ledger: Ledger, executor: Executor, clock: Callable[[], float]) -> None:
        self._ledger, self._executor, self._clock = ledger, executor, clock

    def carry_out(self, records: Sequence[StepRecord], check: Check | None = None) -> Refusal | None:
        """Do the steps in order, asking ``check`` before each; the first that is not DONE cancels the rest.

        What a plan gives up in the ledger for a limit ends in one transaction with that limit's step, and is not asked
        about: between the two, a raise would keep its reservation and could be made twice.

        How a move ends is seen to by ``Relocations``.

        Return the refusal that stopped it, of ``check`` or of the platform, if one did.
        """
        limit_set = False
        for record in records:
            if record.step.kind in AFTERWARDS:
                break
            if limit_set and record.step.kind != "set_limit":
                self._executor.apply(record.target, record.step)
                continue
            refusal = check() if check else None
            outcome = self._do(record) if refusal is None else None
            if outcome is None or outcome.state is not StepState.DONE:
                self.drop_planned(record.order_id)
                return outcome.refusal if outcome else refusal
            limit_set = record.step.kind == "set_limit"
        return None

    def pretend(self, records: Sequence[StepRecord]) -> None:
        """Record the steps as DRY_RUN."""
        outcome = StepOutcome(StepState.DRY_RUN)
        self._ledger.pretend(records, self._clock())
        for record in records:
            _tell(record, outcome)

    def finish(self, record: StepRecord) -> None:
        """Finish a step that a crash interrupted, once more and no more than that."""
        self._ledger.begin_again(record)
        self._end(record, self._executor.resume(record.target, record.step))

    def drop_planned(self, order_id: int) -> None:
        """Cancel what was planned for an order and not begun."""
        self._ledger.cancel_planned(order_id, self._clock())

    def give_up(self, record: StepRecord, state: StepState, why: str) -> None:
        """End an interrupted step without touching anything."""
        self._end(record, StepOutcome(state, error=why))

    def _do(self, record: StepRecord) -> StepOutcome | None:
        """Return what became of the step; None where it was cancelled meanwhile, or is left to recovery."""
        if not self._ledger.begin_step(record, self._clock()):
            return None
        try:
            outcome = self._executor.apply(record.target, record.step)
        except UnsettledError as error:
            _log.warning("step left open", order=record.order_id, container=record.target.container, error=str(error))
            return None
        self._end(record, outcome)
        return outcome

    def _end(self, record: StepRecord, outcome: StepOutcome) -> None:
        self._ledger.end_step(record, outcome, self._clock())
        _tell(record, outcome)


def _tell(record: StepRecord, outcome: StepOutcome) -> None:
    log = _log.error if outcome.state is StepState.FAILED else _log.info
    log(
        "step",
        order=record.order_id,
        container=record.target.container,
        kind=record.step.kind,
        resource=record.step.resource,
        before=_short(record.step.before),
        after=_short(record.step.after),
        state=str(outcome.state),
        error=outcome.error,
    )


def _short(amount: float | None) -> float | None:
    return None if amount is None else round(amount, 6)
