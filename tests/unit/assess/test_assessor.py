import time
from collections.abc import Callable

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.assess.assessor import Assessor
from exporter.assess.scores import INTERFERENCE, TOP_VICTIMS
from exporter.history.signals import SIGNALS
from exporter.history.windows import Window
from exporter.sections import AssessConfig

MakeWindow = Callable[..., Window]
MIB = 2.0**20


def _random(rows: int, width: int, calls: int = 5, seed: int = 0, holes: float = 0.1) -> Window:
    noise = np.random.default_rng(seed)
    signals = noise.gamma(1.0, 1.0, (rows, len(SIGNALS), width)).astype(np.float32)
    signals[noise.uniform(size=signals.shape) < holes] = np.nan
    return Window(
        step=15.0,
        end=1.8e9 + seed,
        lives=noise.permutation(rows),
        workloads=noise.integers(0, max(rows, 1), rows),
        signals=signals,
        started=np.where(noise.uniform(size=rows) < 0.2, np.nan, 1.8e9 - noise.uniform(0, 9000, rows)),
        cpu_limit=np.full(rows, 1, dtype=np.float32),
        memory_limit=np.full(rows, np.nan, dtype=np.float32),
        syscalls=noise.gamma(1.0, 1.0, (rows, calls)).astype(np.float32),
        syscall_names=tuple(f"call_{number}" for number in range(calls)),
        connections=np.full((rows, 0), np.nan, dtype=np.float32),
        protocol_names=(),
        node_cpu=np.full(width, np.nan, dtype=np.float32),
    )


@given(
    rows=st.integers(0, 6),
    width=st.integers(1, 60),
    calls=st.integers(0, 6),
    seed=st.integers(0, 10),
    holes=st.sampled_from([0.0, 0.5, 1.0]),
)
@settings(max_examples=60, deadline=None)
def test_scores_of_any_window_have_its_rows_and_stay_between_zero_and_one(
    rows: int, width: int, calls: int, seed: int, holes: float
) -> None:
    assessor = Assessor(AssessConfig(learn=30.0))
    for cycle in range(4):
        scores = assessor.assess(_random(rows + cycle % 2, width, calls + cycle, seed + 15 * cycle, holes))
    n = rows + 1
    singles = (scores.cpu_burst, scores.memory_leak, scores.network_flood, scores.anomaly, scores.security_risk)
    for values in (*singles, scores.suffered, scores.caused):
        assert len(values) == n
        assert ((values >= 0) & (values <= 1)).all()
    assert scores.suffered.shape == (n, len(INTERFERENCE))
    assert scores.caused.shape == scores.victims.shape == (n, len(INTERFERENCE), TOP_VICTIMS)
    assert len(scores.reasons) == len(scores.exhaustion_seconds) == len(scores.profile_finished) == n


def test_a_leak_a_burst_and_a_culprit_explain_themselves(make_window: MakeWindow) -> None:
    cpu, memory, waiting = np.full((4, 240), 0.1), np.full((4, 240), 50 * MIB), np.zeros((4, 240))
    memory[0] = (40 + 2.0 * np.arange(240)) * MIB
    cpu[1, -8:] = 0.9
    cpu[2, -8:], waiting[2, -8:] = 0.08, 0.4
    window = make_window(cpu=cpu, memory=memory, cpu_waiting=waiting, memory_limit=700 * MIB)
    reasons = Assessor(AssessConfig()).assess(window).reasons
    assert reasons[0][0].startswith("memory grows 1.0 MiB/s since ")
    assert reasons[0][0].endswith(" s to its limit")
    assert any(text.startswith("uses 0.9") and "neighbour waits" in text for text in reasons[1])
    assert "bursts to 0.90 cores from 0.10" in reasons[1]
    assert reasons[2] == ("waits 40% of the time because of others' cpu",)
    assert reasons[3] == ()


def test_what_is_remembered_stays_bounded_whatever_the_churn() -> None:
    assessor = Assessor(AssessConfig(learn=30.0))
    for cycle in range(30):
        window = _random(200, 12, seed=cycle)
        churned = Window(
            **{**vars(window), "lives": window.lives + 200 * cycle, "workloads": window.lives + 200 * cycle}
        )
        assessor.assess(churned)
    assert assessor._behaviour._table.known.shape[0] <= 4096
    assert assessor._security._calls.rows <= 4096


def test_five_hundred_containers_cost_less_than_a_fifth_of_a_second() -> None:
    assessor, window = Assessor(AssessConfig()), _random(500, 240, calls=300)
    costs = []
    for _ in range(3):
        before = time.process_time()
        assessor.assess(window)
        costs.append(time.process_time() - before)
    assert min(costs) < 0.2
