"""Reservations that end without an alert: run out, or taken by others; and holds that no reservation explains."""

from contextlib import ExitStack

import structlog

from actuator.carry import Carrier
from actuator.ledger.protocol import Ledger
from actuator.model.decisions import Notice, Plan, Step
from actuator.model.knowledge import Reservation
from actuator.model.orders import Intent, Target
from actuator.platforms.errors import PlatformError
from actuator.platforms.protocol import Platform
from actuator.records import Origin

_TAKEN = "others have taken the room that was held"
_AT_ONCE = 100
_log = structlog.get_logger(__name__)

Whom = tuple[Target, str]
"""A container and the resource held for it."""


class Reservations:
    """Keeps the ledger and what is held on the platform in line.

    Whoever holds or frees something has the right to act on its container until the ledger says so. With that right in
    hand, and only so, a difference between both is one that stays.
    """

    def __init__(self, ledger: Ledger, platform: Platform, carrier: Carrier) -> None:
        self._ledger, self._platform, self._carrier = ledger, platform, carrier

    def tend(self, at: float) -> None:
        """End what is over at epoch seconds ``at``; what is in another hand, or fails, is left for the next time."""
        try:
            self._compare(at)
        except PlatformError as error:
            _log.warning("reservations kept", error=str(error))
            return
        for whom, (_, reservation) in self._reserved().items():
            if reservation.expires_at <= at:
                with self._ledger.acting(whom[0]) as free:
                    if free:
                        self._end(whom, Origin.TTL, "the reservation has run out", at)

    def _compare(self, at: float) -> None:
        """Settle what differs, some at a time: each right in hand is an open file."""
        if not (differing := self._differing()):
            return
        with ExitStack() as rights:
            targets = sorted({target for target, _ in differing}, key=str)[:_AT_ONCE]
            mine = {target for target in targets if rights.enter_context(self._ledger.acting(target))}
            for whom in self._differing() if mine else ():
                if whom[0] in mine:
                    self._settle(whom, at)

    def _differing(self) -> set[Whom]:
        """Return what is held and not reserved, or reserved and not held."""
        holding = self._platform.holding()
        if holding is None:
            return set()
        reserved = self._reserved().keys()
        return (holding.keys() - reserved) | {whom for whom in reserved if not holding.get(whom)}

    def _settle(self, whom: Whom, at: float) -> None:
        if whom not in self._reserved():
            self._platform.let_go(*whom)
            _log.info("hold without a reservation dropped", container=whom[0].container, resource=whom[1])
        elif not self._interrupted(whom[0]):
            self._end(whom, Origin.PREEMPTED, _TAKEN, at)
            self._platform.tell(whom[0], Notice(at, Intent.RESERVE, "Preempted", f"{whom[1]}: {_TAKEN}", warning=True))

    def _interrupted(self, target: Target) -> bool:
        """An activation that a crash interrupted may have freed the room for its own container: recovery ends that."""
        return any(record.target == target for record in self._ledger.interrupted())

    def _reserved(self) -> dict[Whom, tuple[int, Reservation]]:
        return {(found.target, found.resource): (order_id, found) for order_id, found in self._ledger.reservations()}

    def _end(self, whom: Whom, origin: Origin, why: str, at: float) -> None:
        if whom not in (reserved := self._reserved()):
            return
        order_id, reservation = reserved[whom]
        plan = Plan((Step("release", reservation.resource, reservation.amount, None),), why)
        self._carrier.carry_out(self._ledger.record_plan(order_id, reservation.target, plan, origin, at))
