"""Carry out one step: check, do, verify in the kernel, or revert."""

from actuator.model import Step, StepOutcome, Target
from actuator.platforms.protocol import Platform


class Executor:
    """Applies ``set_limit`` steps; ``reserve`` and ``release`` concern the ledger only and never come here."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def apply(self, target: Target, step: Step) -> StepOutcome:
        """Carry the step out once and verify it; never raises platform errors."""
        raise NotImplementedError

    def resume(self, target: Target, step: Step) -> StepOutcome:
        """Finish a step found STARTED after a crash, without doing it twice."""
        raise NotImplementedError
