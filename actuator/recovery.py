"""What a crash left behind: a step begun and not ended is looked up in the kernel, and never done twice."""

from contextlib import ExitStack
from functools import partial

import structlog

from actuator.carry import Carrier
from actuator.crew import Crew
from actuator.ledger.protocol import Ledger
from actuator.model.decisions import StepState
from actuator.model.orders import OrderState, Target
from actuator.platforms.errors import GoneError, PlatformError
from actuator.platforms.protocol import Platform
from actuator.records import Origin, StepRecord
from actuator.tolerance import same_limit
from actuator.truth import Truth

_UNCONFIRMED = "interrupted by a stop; its cause could not be confirmed afterwards"
_log = structlog.get_logger(__name__)


class Recovery:
    """Ends the steps of a process that died."""

    def __init__(
        self,
        ledger: Ledger,
        platform: Platform,
        carrier: Carrier,
        truth: Truth,
        crew: Crew,
        dry_run: bool,
    ) -> None:
        self._ledger, self._platform, self._carrier = ledger, platform, carrier
        self._truth, self._crew, self._dry_run = truth, crew, dry_run
        self._told: set[int] = set()

    def run(self) -> None:
        """End every interrupted step, and cancel what was planned and never begun; orders are planned anew."""
        unfinished = (*self._ledger.interrupted(), *self._ledger.planned())
        for target in sorted({record.target for record in unfinished}, key=str):
            with ExitStack() as right:
                if right.enter_context(self._ledger.acting(target)):
                    self._crew.begin(right.pop_all(), partial(self._end_all, target))

    def _end_all(self, target: Target) -> None:
        """With the right to act nothing is underway: what still looks unfinished belongs to a process that died."""
        for record in self._ledger.interrupted():
            if record.target == target:
                self._end(record)
        for order_id in {record.order_id for record in self._ledger.planned() if record.target == target}:
            self._carrier.drop_planned(order_id)

    def _end(self, record: StepRecord) -> None:
        if record.id not in self._told:
            self._told.add(record.id)
            _log.warning("interrupted", order=record.order_id, container=record.target.container, step=record.id)
        try:
            self._settle(record)
        except GoneError:
            self._carrier.give_up(record, StepState.CANCELLED, "the container is gone")
        except PlatformError:
            return  # the next pass tries again

    def _settle(self, record: StepRecord) -> None:
        step = record.step
        if step.kind == "reserve" and not self._still_wanted(record):
            self._carrier.give_up(record, StepState.CANCELLED, _UNCONFIRMED)  # what it held has no reservation now
            return
        if step.kind != "set_limit":
            self._carrier.finish(record)
            return
        found = self._platform.kernel_value(record.target, step.resource).limit
        if same_limit(step.resource, found, step.after) or (record.starts == 1 and self._still_wanted(record)):
            self._carrier.finish(record)
            return
        untouched = same_limit(step.resource, found, step.before)
        if untouched:
            self._platform.withdraw(record.target, step.resource)
        state = StepState.CANCELLED if untouched else StepState.FAILED
        self._carrier.give_up(record, state, _UNCONFIRMED)

    def _still_wanted(self, record: StepRecord) -> bool:
        if record.origin is not Origin.ORDER:
            return True
        order = self._ledger.order(record.order_id)
        if self._dry_run or order is None or order.state is not OrderState.OPEN:
            return False
        return self._truth.refusal(order) is None
