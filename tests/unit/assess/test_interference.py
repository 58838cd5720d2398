from collections.abc import Callable

import numpy as np
import pytest

from exporter.assess import interference
from exporter.assess.scores import INTERFERENCE
from exporter.history.windows import Window

MakeWindow = Callable[..., Window]
CPU, MEMORY, DISK = 0, 1, 2
BANDWIDTH = INTERFERENCE.index("memory_bandwidth")
ALARM = 0.2
MIB = 2.0**20


def _steady(levels: list[float], width: int = 120, noise: float = 0.03) -> np.ndarray:
    shape = (len(levels), width)
    return np.array(levels)[:, None] * np.random.default_rng(4).normal(1, noise, shape)


def _blame(found: interference.Interference, culprit: int, victim: int, kind: int = CPU) -> float:
    match = found.victims[culprit, kind] == victim
    return float(found.caused[culprit, kind][match].sum())


@pytest.mark.parametrize(("step", "since"), [(1.0, 10), (2.0, 5), (15.0, 1)])
def test_a_new_noisy_neighbour_is_named_within_fifteen_seconds(
    make_window: MakeWindow, step: float, since: int
) -> None:
    cpu, waiting = _steady([0.18, 0.0, 0.05, 0.3]), _steady([0.02, 0.0, 0.01, 0.02])
    cpu[1, -since:], waiting[0, -since:], cpu[0, -since:], waiting[1, -since:] = 0.83, 0.16, 0.157, 0.17
    cpu[1, :-since] = waiting[1, :-since] = np.nan
    found = interference.find(make_window(step=step, cpu=cpu, cpu_waiting=waiting))
    assert found.suffered[0, CPU] > ALARM
    assert _blame(found, 1, 0) > ALARM
    assert found.caused[[0, 2, 3]].max() < ALARM / 2


def test_a_neighbour_that_was_always_noisy_is_named_too(make_window: MakeWindow) -> None:
    found = interference.find(make_window(cpu=_steady([0.157, 0.83, 0.01]), cpu_waiting=_steady([0.16, 0.17, 0.013])))
    assert _blame(found, 1, 0) > ALARM
    assert found.caused[[0, 2]].max() < ALARM / 4


def test_a_quiet_node_has_neither_victims_nor_culprits(make_window: MakeWindow) -> None:
    found = interference.find(make_window(cpu=_steady([0.18, 0.3, 0.05]), cpu_waiting=_steady([0.02, 0.02, 0.01])))
    assert found.suffered.max() < ALARM / 2
    assert found.caused.max() < ALARM / 4


def test_a_container_held_by_its_own_quota_accuses_nobody(make_window: MakeWindow) -> None:
    found = interference.find(
        make_window(
            cpu=_steady([0.5, 0.9]),
            cpu_waiting=_steady([0.5, 0.01]),
            cpu_throttled=_steady([0.97, 0.0]),
            cpu_throttled_seconds=_steady([0.47, 0.0]),
        )
    )
    assert found.suffered[0, CPU] < ALARM / 2
    assert found.caused.max() < ALARM / 4


def test_a_container_that_gets_its_whole_quota_on_a_busy_core_accuses_nobody(make_window: MakeWindow) -> None:
    found = interference.find(
        make_window(
            cpu=_steady([0.3, 0.6]),
            cpu_waiting=_steady([0.7, 0.3]),
            cpu_throttled=_steady([0.97, 0.0]),
            cpu_throttled_seconds=_steady([0.4, 0.0]),
        )
    )
    assert found.suffered[0, CPU] < ALARM / 2


def test_many_throttled_threads_take_off_no_more_than_the_time_that_they_were_throttled(
    make_window: MakeWindow,
) -> None:
    found = interference.find(
        make_window(
            cpu=_steady([0.3, 0.9]),
            cpu_waiting=_steady([0.7, 0.2]),
            cpu_throttled=_steady([0.2, 0.0]),
            cpu_throttled_seconds=_steady([1.5, 0.0]),
        )
    )
    assert found.suffered[0, CPU] > ALARM


def test_a_container_crowded_by_its_own_threads_blames_no_light_neighbour(make_window: MakeWindow) -> None:
    found = interference.find(make_window(cpu=_steady([1.8, 0.05, 0.04]), cpu_waiting=_steady([0.95, 0.0, 0.0])))
    assert found.suffered[0, CPU] < ALARM
    assert found.caused.max() < ALARM / 4


def test_two_equal_heavy_neighbours_share_a_blame_lower_than_that_of_a_clear_culprit(make_window: MakeWindow) -> None:
    equal = interference.find(make_window(cpu=_steady([0.5, 0.5]), cpu_waiting=_steady([0.5, 0.5])))
    assert equal.suffered[:, CPU].min() > ALARM
    assert equal.caused[:, CPU, 0].min() > 0.05
    assert equal.caused[0, CPU, 0] == pytest.approx(equal.caused[1, CPU, 0], rel=0.2)
    clear = interference.find(make_window(cpu=_steady([0.157, 0.83]), cpu_waiting=_steady([0.16, 0.17])))
    assert equal.caused.max() < 0.7 * _blame(clear, 1, 0)


def test_what_rose_with_the_waiting_is_blamed_before_what_was_heavy_all_along(make_window: MakeWindow) -> None:
    cpu, waiting = _steady([0.2, 0.9, 0.05]), _steady([0.01, 0.01, 0.01])
    cpu[2, -8:], waiting[0, -8:] = 0.8, 0.3
    found = interference.find(make_window(cpu=cpu, cpu_waiting=waiting))
    assert _blame(found, 2, 0) > ALARM
    assert _blame(found, 2, 0) > 3 * _blame(found, 1, 0)


def test_a_culprit_behind_a_victim_of_changing_load_is_still_named(make_window: MakeWindow) -> None:
    busy = (np.arange(120) // 15) % 2
    cpu, waiting = _steady([0.02, 0.9, 0.03]), _steady([0.01, 0.05, 0.01])
    cpu[0], waiting[0], cpu[1] = 0.02 + 0.2 * busy, 0.02 + 0.25 * busy, 0.95 - 0.2 * busy
    found = interference.find(make_window(cpu=cpu, cpu_waiting=waiting))
    assert _blame(found, 1, 0) > ALARM
    assert found.caused[2].max() < 0.05


def test_trouble_that_is_over_is_forgotten_within_half_a_minute(make_window: MakeWindow) -> None:
    cpu, waiting = _steady([0.157, 0.83]), _steady([0.16, 0.17])
    cpu[:, -8:], waiting[:, -8:] = [[0.18], [0.1]], 0.01
    found = interference.find(make_window(cpu=cpu, cpu_waiting=waiting))
    assert found.suffered.max() < ALARM / 2
    assert found.caused.max() < ALARM / 4


def test_the_three_worst_off_victims_are_named_worst_first(make_window: MakeWindow) -> None:
    found = interference.find(
        make_window(cpu=_steady([0.9, 0.1, 0.1, 0.1, 0.1, 0.1]), cpu_waiting=_steady([0.3, 0.1, 0.2, 0.3, 0.4, 0.0]))
    )
    assert found.victims[0, CPU].tolist() == [4, 3, 2]
    assert (np.diff(found.caused[0, CPU]) <= 0).all()


def test_memory_pressure_is_blamed_on_whoever_grows(make_window: MakeWindow) -> None:
    memory = np.array([200.0, 300.0, 500.0])[:, None] * np.ones((3, 120)) * MIB
    memory[1] += 10 * MIB * 2.0 * np.maximum(np.arange(120) - 100, 0)
    waiting = np.zeros((3, 120))
    waiting[0, -10:] = 0.4
    found = interference.find(make_window(memory=memory, memory_waiting=waiting, memory_limit=4096 * MIB))
    assert found.suffered[0, MEMORY] > ALARM
    assert _blame(found, 1, 0, MEMORY) > ALARM
    assert found.caused[2].max() == 0


def test_memory_pressure_at_ones_own_limit_is_nobody_elses_fault(make_window: MakeWindow) -> None:
    memory = np.full((2, 120), 200 * MIB)
    memory[1] += 10 * MIB * 2.0 * np.arange(120)
    waiting = np.zeros((2, 120))
    waiting[0] = 0.4
    found = interference.find(make_window(memory=memory, memory_waiting=waiting, memory_limit=205 * MIB))
    assert found.suffered[0, MEMORY] < ALARM / 2


def test_disk_pressure_is_blamed_on_whoever_moves_the_bytes(make_window: MakeWindow) -> None:
    disk, waiting = _steady([1 * MIB, 1e4, 2e4]), _steady([0.02, 0.0, 0.0])
    disk[1, -8:], waiting[0, -8:], waiting[1, -8:] = 80 * MIB, 0.6, 0.8
    found = interference.find(make_window(disk_io=disk, io_waiting=waiting))
    assert found.suffered[0, DISK] > ALARM
    assert found.suffered[1, DISK] < ALARM / 2
    assert _blame(found, 1, 0, DISK) > ALARM
    assert found.caused[[0, 2]].max() < 0.05


def test_waiting_for_ones_own_transfers_is_no_suffering(make_window: MakeWindow) -> None:
    found = interference.find(make_window(disk_io=_steady([50 * MIB, 1e4]), io_waiting=_steady([0.8, 0.0])))
    assert found.suffered.max() < 0.05


def test_one_missed_sample_changes_nothing(make_window: MakeWindow) -> None:
    cpu, waiting = _steady([0.157, 0.83]), _steady([0.16, 0.17])
    cpu[:, -1] = waiting[:, -1] = np.nan
    found = interference.find(make_window(step=15.0, cpu=cpu, cpu_waiting=waiting))
    assert _blame(found, 1, 0) > ALARM


def test_a_node_without_pressure_figures_has_no_scores(make_window: MakeWindow) -> None:
    found = interference.find(make_window(cpu=_steady([0.9, 0.1])))
    assert found.suffered.max() == 0
    assert (found.victims == -1).all()


def test_no_container_is_blamed_for_what_the_host_itself_runs(make_window: MakeWindow) -> None:
    cpu, waiting = _steady([0.3, 0.3, 0.1]), _steady([0.4, 0.4, 0.2])
    assert interference.find(make_window(cpu=cpu, cpu_waiting=waiting, node_cpu=2.0)).caused.max() < ALARM


def test_a_noisy_neighbour_is_named_on_a_host_with_work_of_its_own(make_window: MakeWindow) -> None:
    found = interference.find(make_window(cpu=_steady([0.157, 0.83]), cpu_waiting=_steady([0.16, 0.17]), node_cpu=1.3))
    assert _blame(found, 1, 0) > ALARM


def _disturbed(make_window: MakeWindow, **does: float) -> interference.Interference:
    since, steady = 8, {"cpu": [0.2, 0.0, 0.05], "cpu_waiting": [0.02, 0.0, 0.01]}
    series = {name: _steady(levels) for name, levels in steady.items()}
    series["cpu"][1, -since:], series["cpu_waiting"][0, -since:] = 1.5, 0.4
    for name, level in does.items():
        series[name] = _steady([0.0, 0.0, 0.0])
        series[name][1, -since:] = level
    return interference.find(make_window(**series))


@pytest.mark.parametrize(
    ("does", "name"),
    [
        ({"syscalls": 100.0, "memory": 5 * MIB}, "cpu"),
        ({"thread_creations": 9000.0, "syscalls": 40000.0}, "threads"),
        ({"network_packets": 4e5, "syscalls": 4e5}, "network_io"),
        ({"disk_io": 2e9, "syscalls": 3e4}, "disk_io"),
        ({"disk_io": 4e7, "io_waiting": 0.9, "syscalls": 3e4}, "disk_io"),
        ({"memory": 800 * MIB, "syscalls": 10.0}, "memory_bandwidth"),
        ({"memory": 800 * MIB, "syscalls": 2e5}, "cpu"),
        ({"memory": 800 * MIB, "syscalls": 10.0, "cache_misses": 1e6}, "cpu"),
        ({"memory": 5 * MIB, "syscalls": 2e5, "cache_misses": 1e8}, "memory_bandwidth"),
        ({"thread_creations": 20.0, "network_packets": 2000.0, "disk_io": 1e7, "syscalls": 5e4}, "cpu"),
    ],
)
def test_trouble_has_the_name_of_what_the_culprits_cpu_time_goes_into(
    make_window: MakeWindow, does: dict[str, float], name: str
) -> None:
    found = _disturbed(make_window, **does)
    kind = INTERFERENCE.index(name)
    assert _blame(found, 1, 0, kind) > ALARM
    assert found.suffered[0, kind] > ALARM
    assert found.suffered[0].max() == found.suffered[0, kind]


def test_a_culprit_has_one_name_however_it_is_in_the_way(make_window: MakeWindow) -> None:
    disk, io, cpu, waiting = (_steady([level, 0.0, 0.0]) for level in (2e5, 0.02, 0.2, 0.02))
    disk[1, -8:], io[0, -8:], io[1, -8:], cpu[1, -8:], waiting[0, -8:] = 4e8, 0.5, 0.8, 0.5, 0.3
    found = interference.find(make_window(disk_io=disk, io_waiting=io, cpu=cpu, cpu_waiting=waiting))
    assert np.flatnonzero(found.caused[1].max(axis=1)).tolist() == [DISK]
    assert _blame(found, 1, 0, DISK) > ALARM


def test_work_that_takes_more_cpu_time_beside_a_heavy_neighbour_is_blamed_on_it(make_window: MakeWindow) -> None:
    cpu, calls, packets = _steady([0.3, 0.0, 0.05]), _steady([3000.0, 0.0, 50.0]), _steady([200.0, 0.0, 0.0])
    cpu[1, -8:], cpu[0, -8:] = 1.0, 0.6
    found = interference.find(make_window(cpu=cpu, syscalls=calls, network_packets=packets))
    assert found.suffered[0, BANDWIDTH] > ALARM
    assert _blame(found, 1, 0, BANDWIDTH) > ALARM
    assert found.caused[[0, 2]].max() < ALARM / 4


def test_work_that_grows_with_its_own_requests_accuses_nobody(make_window: MakeWindow) -> None:
    cpu, calls, packets = _steady([0.3, 0.9]), _steady([3000.0, 100.0]), _steady([200.0, 0.0])
    for series in (cpu, calls, packets):
        series[0, -8:] *= 2
    found = interference.find(make_window(cpu=cpu, syscalls=calls, network_packets=packets))
    assert found.suffered.max() < ALARM / 2


def test_other_requests_that_make_more_calls_for_the_same_packets_are_no_loss_of_work(make_window: MakeWindow) -> None:
    cpu, calls, packets = _steady([0.3, 0.9]), _steady([3000.0, 100.0]), _steady([200.0, 0.0])
    cpu[0, -8:], calls[0, -8:] = 0.6, 9000.0
    found = interference.find(make_window(cpu=cpu, syscalls=calls, network_packets=packets))
    assert found.suffered.max() < ALARM / 2


def test_where_instructions_are_counted_they_are_the_work_and_calls_and_packets_are_not(
    make_window: MakeWindow,
) -> None:
    cpu, calls, instructions = _steady([0.3, 0.0]), _steady([3000.0, 0.0]), _steady([6e8, 0.0])
    cpu[1, -8:], cpu[0, -8:], calls[0, -8:] = 1.0, 0.6, 6000.0
    slower = interference.find(make_window(cpu=cpu, syscalls=calls, network_packets=calls, instructions=instructions))
    assert _blame(slower, 1, 0, BANDWIDTH) > ALARM
    calls[0, -8:], instructions[0, -8:] = 3000.0, 12e8
    as_fast = interference.find(make_window(cpu=cpu, syscalls=calls, network_packets=calls, instructions=instructions))
    assert as_fast.suffered.max() < ALARM / 4


def test_a_newcomer_that_waits_beside_a_steady_neighbour_does_not_accuse_it(make_window: MakeWindow) -> None:
    cpu, waiting = _steady([0.35, 0.0]), _steady([0.05, 0.0])
    cpu[1, -8:], waiting[1, -8:], waiting[0, -8:], cpu[0, -8:] = 0.45, 0.7, 0.5, 0.25
    found = interference.find(make_window(cpu=cpu, cpu_waiting=waiting))
    assert _blame(found, 1, 0) > ALARM
    assert found.caused[0].max() < ALARM / 2


def test_waiting_for_a_disk_that_was_always_as_slow_accuses_no_light_writer(make_window: MakeWindow) -> None:
    disk, io, cpu = _steady([2e5, 1e6]), _steady([0.08, 0.01]), _steady([0.1, 0.05])
    found = interference.find(make_window(disk_io=disk, io_waiting=io, cpu=cpu))
    assert found.caused.max() < ALARM / 2


def test_busy_harmless_neighbours_are_not_blamed_for_what_a_culprit_does(make_window: MakeWindow) -> None:
    cpu, waiting = _steady([0.2, 0.0, 0.25, 0.15, 0.05]), _steady([0.03, 0.0, 0.02, 0.02, 0.01])
    cpu[1, -8:], waiting[0, -8:], waiting[2:4, -8:] = 1.4, 0.4, 0.2
    found = interference.find(make_window(cpu=cpu, cpu_waiting=waiting))
    assert _blame(found, 1, 0) > ALARM
    assert found.caused[[0, 2, 3, 4]].max() < ALARM / 2
