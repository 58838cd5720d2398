"""Carry out one step: check, do, verify in the kernel, or revert."""

from actuator.model.decisions import Refusal, Step, StepOutcome, StepState
from actuator.model.knowledge import KernelValue
from actuator.model.orders import Target
from actuator.platforms.errors import PlatformError, RejectedError, UnsettledError
from actuator.platforms.protocol import Platform
from actuator.tolerance import same_limit


class Executor:
    """Applies steps on one platform."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def apply(self, target: Target, step: Step) -> StepOutcome:
        """Carry the step out once; REVERTED also where the check beforehand fails and nothing was touched.

        Raises UnsettledError where what became of it is to be found out later, as after a crash.
        """
        return self._set_limit(target, step) if step.kind == "set_limit" else self._hold(target, step)

    def _set_limit(self, target: Target, step: Step) -> StepOutcome:
        try:
            before = self._platform.kernel_value(target, step.resource)
        except PlatformError as e:
            return StepOutcome(StepState.REVERTED, error=str(e))
        if not same_limit(step.resource, before.limit, step.before):
            why = f"someone else changed the limit: planned from {step.before}, found {before.limit}"
            return StepOutcome(StepState.REVERTED, before.file, before.raw, before.raw, why)
        return self._do(target, step, before)

    def resume(self, target: Target, step: Step) -> StepOutcome:
        """Finish a step found STARTED after a crash: already there is done, untouched is done once, else FAILED."""
        return self._resume_limit(target, step) if step.kind == "set_limit" else self._hold(target, step)

    def _resume_limit(self, target: Target, step: Step) -> StepOutcome:
        try:
            found = self._platform.kernel_value(target, step.resource)
        except PlatformError as e:
            return StepOutcome(StepState.FAILED, error=f"after a restart: {e}")
        if same_limit(step.resource, found.limit, step.after):
            return StepOutcome(StepState.DONE, found.file, "", found.raw)
        if same_limit(step.resource, found.limit, step.before):
            return self._do(target, step, found)
        why = f"after a restart: the limit is {found.limit}, neither {step.before} nor {step.after}"
        return StepOutcome(StepState.FAILED, found.file, "", found.raw, why)

    def _hold(self, target: Target, step: Step) -> StepOutcome:
        """Hold or let go; the platform takes both twice for once."""
        try:
            if step.kind == "reserve":
                self._platform.hold(target, step.resource, step.after or 0.0)
            else:
                self._platform.let_go(target, step.resource)
        except PlatformError as e:
            return put_back(e)
        return StepOutcome(StepState.DONE)

    def _do(self, target: Target, step: Step, before: KernelValue) -> StepOutcome:
        failure = self._set(target, step.resource, step.after)
        after = self._look(target, step.resource)
        if after is None:
            lost = str(failure or "the limit cannot be read after the change")
            return StepOutcome(StepState.FAILED, before.file, before.raw, "", lost)
        # The kernel has the last word: a call that timed out may have been carried out all the same.
        if same_limit(step.resource, after.limit, step.after):
            return StepOutcome(StepState.DONE, after.file, before.raw, after.raw)
        if not same_limit(step.resource, after.limit, before.limit):
            failure = failure or PlatformError(f"the kernel holds {after.raw}, not {step.after}")
            self._set(target, step.resource, before.limit)
        return self._reverted(target, step, before, failure or PlatformError("the kernel holds the old limit"))

    def _reverted(self, target: Target, step: Step, before: KernelValue, failure: PlatformError) -> StepOutcome:
        found = self._look(target, step.resource)
        back = found is not None and same_limit(step.resource, found.limit, before.limit)
        state = StepState.REVERTED if back else StepState.FAILED
        raw = found.raw if found else ""
        return StepOutcome(state, before.file, before.raw, raw, str(failure), _refusal(failure) if back else None)

    def _set(self, target: Target, resource: str, value: float | None) -> PlatformError | None:
        """Return why it failed; raise UnsettledError where that is to be found out later."""
        try:
            self._platform.set_limit(target, resource, value)
        except UnsettledError:
            raise
        except PlatformError as e:
            return e
        return None

    def _look(self, target: Target, resource: str) -> KernelValue | None:
        try:
            return self._platform.kernel_value(target, resource)
        except PlatformError:
            return None


def put_back(failure: PlatformError) -> StepOutcome:
    """Return the outcome of a step that has left everything as it was."""
    return StepOutcome(StepState.REVERTED, error=str(failure), refusal=_refusal(failure))


def _refusal(failure: PlatformError) -> Refusal | None:
    if not failure.code:
        return None
    return Refusal(failure.code, str(failure), retryable=not isinstance(failure, RejectedError))
