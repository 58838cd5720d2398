from exporter.forecast.schedule import Schedule

HOUR = 3600.0


def cause(schedule: Schedule, now: float, drifted: bool = False, unused: bool = False) -> str | None:
    return schedule.cause(now, drifted=drifted, unused=unused)


def passed(schedule: Schedule, now: float, why: str, cpu: float = 1.0, good: bool = True) -> float:
    allowed = schedule.begin(now, why)
    schedule.end(now, cpu, good=good)
    return allowed


def test_a_pass_begins_each_interval() -> None:
    schedule = Schedule(HOUR)
    assert cause(schedule, 0) == "schedule"
    passed(schedule, 0, "schedule")
    assert cause(schedule, HOUR - 1) is None
    assert cause(schedule, HOUR) == "schedule"


def test_drift_and_unused_forecasts_bring_it_forward_but_not_more_than_six_times() -> None:
    schedule = Schedule(HOUR)
    passed(schedule, 0, "schedule")
    assert cause(schedule, HOUR / 6 - 1, drifted=True) is None
    assert cause(schedule, HOUR / 6) is None
    assert cause(schedule, HOUR / 6, unused=True) == "reclaim"
    assert cause(schedule, HOUR / 6, drifted=True, unused=True) == "drift"
    passed(schedule, HOUR / 6, "drift")
    assert cause(schedule, HOUR / 3 - 1, drifted=True) is None
    assert cause(schedule, HOUR) == "schedule"


def test_passes_take_a_twentieth_of_a_core_on_average_whatever_asks_for_them() -> None:
    schedule, spent = Schedule(HOUR), 0.0
    for minute in range(48 * 60):
        why = cause(schedule, 60.0 * minute, drifted=True, unused=True)
        if why is not None:
            allowed = schedule.begin(60.0 * minute, why)
            assert allowed <= 600
            spent += allowed
            schedule.end(60.0 * minute, allowed, good=True)
    assert 0.04 < spent / (48 * HOUR) <= 0.052


def test_each_failure_in_a_row_doubles_the_wait_to_six_hours_and_a_success_ends_it() -> None:
    schedule, now, waits = Schedule(HOUR), 0.0, []
    for _ in range(9):
        passed(schedule, now, "schedule", good=False)
        begun = now
        while cause(schedule, now, drifted=True) is None:
            now += 60.0
        waits.append((now - begun) / HOUR)
    assert waits == [1 / 6, 1 / 3, 2 / 3, 4 / 3, 8 / 3, 16 / 3, 6, 6, 6]
    passed(schedule, now, "schedule")
    assert cause(schedule, now + HOUR) == "schedule"
    passed(schedule, now + HOUR, "schedule", good=False)
    assert cause(schedule, now + HOUR * 7 / 6, drifted=True) == "drift"


def test_a_clock_set_back_holds_nothing_up() -> None:
    schedule = Schedule(HOUR)
    passed(schedule, 1e6, "schedule")
    assert cause(schedule, 10.0) is None
    assert cause(schedule, 10.0 + HOUR) == "schedule"
