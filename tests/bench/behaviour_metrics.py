"""Anomaly of resource metrics: labelled machines, injected faults in pods, and quiet virtual machines."""

import calendar
import csv
import gzip
import io
import json
import lzma
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from behaviour_rows import Row
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score

from exporter.assess.anomaly import Anomalies, ratio
from exporter.assess.rhythm import Rhythms
from exporter.history.signals import COLUMN, SIGNALS
from exporter.history.windows import Window
from exporter.sections import ThresholdsConfig

Numbers = NDArray[np.floating[Any]]
Fault = tuple[float, str, str]

MACHINES = (("smd_server_machine", 60.0, 0.79), ("asd_app_server", 300.0, 0.45))
FLOOR = 0.02
"""Part of a metric's range that is never worth a word: all of them are scaled to 0–1."""
EFFECT = 600.0
"""Seconds after an injection in which an alarm is its own; effects last 180 to 240 s, evidence is held."""
PODS = ("2022-08-22", "2023-01-29")
WRONG = 200_000_000
"""Seconds by which some timestamps of the pods are off."""
VM_STEP, VM_LEARN = 7200.0, 14 * 86_400.0
MONTH = 30 * 86_400.0


def measure(data: Path) -> list[Row]:
    """Return the figures of all sets in the folder ``data``."""
    rows = [_machines(data / name, step, bar) for name, step, bar in MACHINES]
    return [*rows, *_pods(data / "nezha_pods"), _quiet(data / "azure_vm_noise")]


def _machines(folder: Path, step: float, bar: float) -> Row:
    """Return the mean of the machines' point-wise average precisions; learning ends with the training part."""
    found: dict[str, list[float]] = {"ours": [], "pca": [], "isolation_forest": []}
    for path in sorted(folder.glob("dev/*.npz")):
        held = np.load(path)
        scale = held.get("scale", 100)
        past, now, label = held["train"] / scale, held["test"] / scale, held["label"]
        for name, score in (("ours", _ours(past, now, step)), *_peers(past, now)):
            found[name].append(float(average_precision_score(label, score)))
    means = {name: float(np.mean(each)) for name, each in found.items()}
    return Row(f"{folder.name}: average precision", means.pop("ours"), bar, at_least=True, peers=means)


def _ours(past: Numbers, now: Numbers, step: float) -> Numbers:
    rhythms, one = Rhythms(np.full(past.shape[1], FLOOR), len(past) * step), np.zeros(1, dtype=np.int64)
    both = np.concatenate([past, now])[:, None]
    scores = [rhythms.observe(one, one, row, at * step, step).score[0] for at, row in enumerate(both)]
    return np.array(scores[len(past) :])


def _peers(past: Numbers, now: Numbers) -> Iterator[tuple[str, Numbers]]:
    mean, spread = past.mean(axis=0), past.std(axis=0) + 1e-3
    past, now = (past - mean) / spread, (now - mean) / spread
    pca = PCA(0.7).fit(past)
    yield "pca", ((now - pca.inverse_transform(pca.transform(now))) ** 2).sum(axis=1)
    yield "isolation_forest", -IsolationForest(random_state=0).fit(past).score_samples(now)


def _pods(folder: Path) -> list[Row]:
    """Return what is found of the faults, and the false alarms of all pods, by the whole anomaly score."""
    found: dict[str, list[bool]] = {}
    false, static, days = 0, 0, 0.0
    for date in PODS:
        pods, start, signals, limits = _recording(folder / f"dev_{date}.csv.gz")
        faults = _faults(folder / f"dev_{date}_faults.json")
        alarms = _alarms(signals, limits, start)
        own = np.zeros(alarms.shape, dtype=np.bool_)
        for at, pod, kind in faults:
            row, first = pods.index(pod), max(int((at - start) // 60), 0)
            span = slice(first, first + int(EFFECT // 60) + 1)
            found.setdefault("cpu" if kind.startswith("cpu") else kind, []).append(bool(alarms[row, span].any()))
            own[row, max(first - 1, 0) : span.stop] = True
        over = signals[:, COLUMN["cpu"]] > 0.8 * limits[:, None]
        false, static = false + _episodes(alarms & ~own), static + _episodes(over & ~own)
        days += alarms.size * 60 / 86_400
    rows = [Row("nezha_pods: CPU faults found", float(np.mean(found.pop("cpu"))), 1.0, at_least=True)]
    rows.append(Row("nezha_pods: false alarms", false / days, 0.25, False, "/pod-day", {"use_over_.8": static / days}))
    told = (Row(f"nezha_pods: {kind} found", float(np.mean(each)), 0.0, at_least=True) for kind, each in found.items())
    return [*rows, *told]


def _recording(path: Path) -> tuple[list[str], float, Numbers, Numbers]:
    """Return pods, start, [pods, SIGNALS, minutes] and [pods] CPU limits."""
    with gzip.open(path, "rt") as file:
        rows = list(csv.DictReader(file))
    times = np.array([int(row["ts"]) for row in rows])
    times = np.where(times > np.median(times) + WRONG / 2, times - WRONG, times)
    pods, start = sorted({row["pod"] for row in rows}), float(times.min())
    minutes = ((times - start) // 60).astype(int)
    signals = np.full((len(pods), len(SIGNALS), int(minutes.max()) + 1), np.nan, dtype=np.float32)
    ratios: list[list[float]] = [[] for _ in pods]
    for row in rows:
        if float(row["cpu_pct"]) > 0:
            ratios[pods.index(row["pod"])].append(float(row["cpu_m"]) / float(row["cpu_pct"]) / 10)
    # Both figures are rounded, and now and then of different moments.
    limits = np.array([np.median(each) if each else np.nan for each in ratios], dtype=np.float32)
    for row, minute in zip(rows, minutes, strict=True):
        pod = pods.index(row["pod"])
        share, sent, got = (float(row[key]) for key in ("cpu_pct", "net_tx_b", "net_rx_b"))
        seen = {
            "cpu": share / 100 * limits[pod],
            "memory": float(row["mem_mi"]) * 2**20,
            "network_io": (sent + got) / 60,
        }
        seen["syscalls"] = (float(row["syscall_read"]) + float(row["syscall_write"])) / 60
        for name, value in seen.items():
            signals[pod, COLUMN[name], minute] = value
    return pods, start, signals, limits


def _faults(path: Path) -> list[Fault]:
    """Return (time, pod, kind); the written time is UTC in both recordings, the timestamp beside it is not."""
    held = json.loads(path.read_text())
    each = held if isinstance(held, list) else [fault for hour in held.values() for fault in hour]
    return [
        (
            float(calendar.timegm(time.strptime(fault["inject_time"], "%Y-%m-%d %H:%M:%S"))),
            fault["inject_pod"],
            fault["inject_type"],
        )
        for fault in each
    ]


def _alarms(signals: Numbers, limits: Numbers, start: float) -> NDArray[np.bool_]:
    """Return [pods, minutes] where the anomaly passes its threshold, each pod a workload of its own."""
    pods, _, minutes = signals.shape
    names, none = np.arange(pods), np.zeros(pods)
    anomalies, alarms = Anomalies(1800.0), np.zeros((pods, minutes), dtype=np.bool_)
    padded = np.concatenate([np.full((pods, len(SIGNALS), 59), np.nan, np.float32), signals], axis=2)
    for minute in range(minutes):
        window = Window(
            step=60.0,
            end=start + 60 * minute,
            lives=names,
            workloads=names,
            signals=padded[:, :, minute : minute + 60],
            started=np.full(pods, np.nan),
            cpu_limit=limits,
            memory_limit=np.full(pods, np.nan, dtype=np.float32),
            syscalls=np.full((pods, 0), np.nan, dtype=np.float32),
            syscall_names=(),
            connections=np.full((pods, 0), np.nan, dtype=np.float32),
            protocol_names=(),
            node_cpu=np.full(60, np.nan, dtype=np.float32),
        )
        alarms[:, minute] = anomalies.assess(window, none).score > ThresholdsConfig().anomaly
    return alarms


def _episodes(alarms: NDArray[np.bool_]) -> int:
    """Return how many runs of alarms there are in [containers, steps]."""
    return int(alarms[:, 0].sum() + (alarms[:, 1:] & ~alarms[:, :-1]).sum())


def _quiet(folder: Path) -> Row:
    """Return alarms a VM-month of VMs on which nothing is wrong, each benchmark a metric."""
    with lzma.open(folder / "dev.csv.xz") as file:
        rows = list(csv.DictReader(io.TextIOWrapper(file)))
    benches, vms = sorted({row["bench"] for row in rows}), sorted({row["vm"] for row in rows})
    start, end = (each(int(row["ts"]) for row in rows) for each in (min, max))
    values = np.full((len(vms), int((end - start) // VM_STEP) + 1, len(benches)), np.nan)
    for row in rows:
        at = int((int(row["ts"]) - start) // VM_STEP)
        values[vms.index(row["vm"]), at, benches.index(row["bench"])] = float(row["value"])
    floors = FLOOR * np.nanmedian(values, axis=(0, 1))
    rhythms, names = Rhythms(floors, VM_LEARN), np.arange(len(vms))
    ratios = [
        ratio(rhythms.observe(names, names, values[:, at], start + at * VM_STEP, VM_STEP).rate)
        for at in range(values.shape[1])
    ]
    alarms = np.greater(np.array(ratios).T, ThresholdsConfig().anomaly)
    seen = np.isfinite(values).any(axis=2).sum() * VM_STEP / MONTH
    past = np.abs(values - np.nanmean(values, axis=(0, 1))) > 3 * np.nanstd(values, axis=(0, 1))
    peers = {"three_sigma": _episodes(past.any(axis=2)) / seen}
    return Row("azure_vm_noise: alarms", _episodes(alarms) / seen, 1.0, False, "/VM-month", peers)
