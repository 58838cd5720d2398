from collections.abc import Callable

import pytest

from actuator.execute import Executor
from actuator.model.decisions import Step, StepState
from actuator.model.knowledge import Allocation, KernelValue
from actuator.model.orders import Target
from actuator.platforms.errors import GoneError, PlatformError, RejectedError, UnavailableError

MIB = 2.0**20
RAISE = Step("set_limit", "cpu", 0.5, 0.8)


class Kernel:
    """A platform of one limit, with faults at will."""

    name = "stub"

    def __init__(self, limit: float | None) -> None:
        self.limit = limit
        self.held: float | None = None
        self.sets: list[float | None] = []
        self.set_fault: Callable[[float | None], PlatformError | None] = lambda value: None
        self.rounds: Callable[[float | None], float | None] = lambda value: value
        self.look_faults: list[PlatformError | None] = []

    def inspect(self, target: Target) -> Allocation | None:
        raise AssertionError("execution looks at the kernel only")

    def set_limit(self, target: Target, resource: str, value: float | None) -> None:
        self.sets.append(value)
        fault = self.set_fault(value)
        if fault is None or "timed out" in str(fault):
            self.limit = self.rounds(value)
        if fault is not None:
            raise fault

    def hold(self, target: Target, resource: str, amount: float) -> None:
        fault = self.set_fault(amount)
        if fault is not None:
            raise fault
        self.held = amount

    def let_go(self, target: Target, resource: str) -> None:
        self.held = None

    def holding(self) -> None:
        raise AssertionError("execution does not ask what is held")

    def kernel_value(self, target: Target, resource: str) -> KernelValue:
        fault = self.look_faults.pop(0) if self.look_faults else None
        if fault is not None:
            raise fault
        return KernelValue("/sys/limit", str(self.limit), self.limit)


@pytest.fixture
def kernel() -> Kernel:
    return Kernel(0.5)


def test_a_step_is_done_where_the_kernel_says_so(kernel: Kernel, target: Target) -> None:
    outcome = Executor(kernel).apply(target, RAISE)
    assert (outcome.state, outcome.before_raw, outcome.after_raw) == (StepState.DONE, "0.5", "0.8")
    assert (outcome.kernel_file, outcome.error) == ("/sys/limit", "")
    assert kernel.sets == [0.8]


@pytest.mark.parametrize(
    ("resource", "before", "after", "rounded"),
    [("cpu", 0.5, 0.33333, 0.333), ("memory", 64 * MIB, 100_000_000.0, 99_999_744.0), ("cpu", 0.5, None, None)],
)
def test_the_kernels_rounding_is_no_failure(
    target: Target, resource: str, before: float, after: float | None, rounded: float | None
) -> None:
    kernel = Kernel(before)
    kernel.rounds = lambda value: rounded
    assert Executor(kernel).apply(target, Step("set_limit", resource, before, after)).state is StepState.DONE


def test_a_limit_changed_since_planning_is_not_touched(kernel: Kernel, target: Target) -> None:
    kernel.limit = 0.6
    outcome = Executor(kernel).apply(target, RAISE)
    assert (outcome.state, kernel.sets) == (StepState.REVERTED, [])
    assert "someone else" in outcome.error


@pytest.mark.parametrize("fault", [GoneError("gone"), UnavailableError("down")])
def test_without_a_look_beforehand_nothing_is_touched(kernel: Kernel, target: Target, fault: PlatformError) -> None:
    kernel.look_faults = [fault]
    outcome = Executor(kernel).apply(target, RAISE)
    assert (outcome.state, outcome.error, kernel.sets) == (StepState.REVERTED, str(fault), [])


def test_a_refused_change_leaves_the_old_limit(kernel: Kernel, target: Target) -> None:
    kernel.set_fault = lambda value: PlatformError("no such luck")
    outcome = Executor(kernel).apply(target, RAISE)
    assert (outcome.state, outcome.error, outcome.after_raw) == (StepState.REVERTED, "no such luck", "0.5")
    assert kernel.sets == [0.8]


def test_a_change_that_came_out_wrong_is_reverted_and_the_revert_is_verified(kernel: Kernel, target: Target) -> None:
    kernel.rounds = lambda value: 0.7 if value == 0.8 else value
    outcome = Executor(kernel).apply(target, RAISE)
    assert (outcome.state, kernel.sets, kernel.limit) == (StepState.REVERTED, [0.8, 0.5], 0.5)
    assert "holds 0.7" in outcome.error


def test_a_revert_that_fails_needs_a_person(kernel: Kernel, target: Target) -> None:
    kernel.rounds = lambda value: 0.7
    outcome = Executor(kernel).apply(target, RAISE)
    assert (outcome.state, outcome.after_raw) == (StepState.FAILED, "0.7")


def test_a_call_that_timed_out_but_was_carried_out_is_done(kernel: Kernel, target: Target) -> None:
    kernel.set_fault = lambda value: UnavailableError("timed out")
    assert Executor(kernel).apply(target, RAISE).state is StepState.DONE


def test_without_a_look_afterwards_the_step_has_failed(kernel: Kernel, target: Target) -> None:
    kernel.look_faults = [None, UnavailableError("down")]
    assert Executor(kernel).apply(target, RAISE).state is StepState.FAILED


@pytest.mark.parametrize(
    ("found", "state", "sets"),
    [
        (0.8, StepState.DONE, []),
        (0.5, StepState.DONE, [0.8]),
        (0.6, StepState.FAILED, []),
        (None, StepState.FAILED, []),
    ],
)
def test_a_step_found_started_is_never_done_twice(
    kernel: Kernel, target: Target, found: float | None, state: StepState, sets: list[float]
) -> None:
    kernel.limit = found
    assert Executor(kernel).resume(target, RAISE).state is state
    assert kernel.sets == sets


def test_a_step_whose_container_went_away_meanwhile_has_failed(kernel: Kernel, target: Target) -> None:
    kernel.look_faults = [GoneError("gone")]
    assert Executor(kernel).resume(target, RAISE).state is StepState.FAILED


def test_a_reservation_is_held_by_the_platform_until_it_is_released(kernel: Kernel, target: Target) -> None:
    executor = Executor(kernel)
    assert executor.apply(target, Step("reserve", "cpu", None, 0.4)).state is StepState.DONE
    assert kernel.held == 0.4
    assert executor.resume(target, Step("release", "cpu", 0.4, None)).state is StepState.DONE
    assert kernel.held is None


def test_what_the_platform_cannot_hold_is_not_reserved(kernel: Kernel, target: Target) -> None:
    kernel.set_fault = lambda value: RejectedError("the node is full")
    outcome = Executor(kernel).apply(target, Step("reserve", "cpu", None, 0.4))
    assert (outcome.state, outcome.error) == (StepState.REVERTED, "the node is full")
