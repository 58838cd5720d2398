"""Behaviour, anomaly and leaks on recordings, interference live: ours beside its peers, each figure with its bar.

What a part has found is kept by the content of the product's and the bench's code, so that parts can be run one by one.
"""

import argparse
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import behaviour_counters
import behaviour_interference
import behaviour_leaks
import behaviour_metrics
import behaviour_probe
import behaviour_syscalls
from behaviour_rows import Row

PARTS: dict[str, Callable[[Path], list[Row]]] = {
    "syscalls": behaviour_syscalls.measure,
    "metrics": behaviour_metrics.measure,
    "leaks": behaviour_leaks.measure,
    "counters": behaviour_counters.measure,
    "probe": behaviour_probe.measure,
    "interference": behaviour_interference.measure,
}
_ROOT = Path(__file__).parents[2]
_KEPT = _ROOT / "build" / "bench" / "behaviour"


def main() -> None:
    """Print a table for each part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of recordings")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    given = parser.parse_args()
    if not given.data.is_dir():
        parser.error(f"--data {given.data}: no such folder; give the one that holds the recordings")
    for part in given.parts:
        begun = time.process_time()
        rows = _measured(part, given.data)
        print(f"{part} ({time.process_time() - begun:.0f} CPU s)")
        print("\n".join(_line(row) for row in rows), flush=True)


def _measured(part: str, data: Path) -> list[Row]:
    """Return what ``part`` finds, from before where no code has changed since."""
    kept = _KEPT / f"{part}-{_code(part)}.json"
    if kept.exists():
        return [Row(**row) for row in json.loads(kept.read_text())]
    rows = PARTS[part](data)
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps([asdict(row) for row in rows]))
    return rows


def _code(part: str) -> str:
    own = Path(__file__).parent
    product = (path for path in (_ROOT / "exporter").rglob("*") if path.suffix in (".py", ".c", ".h"))
    files = [*sorted(product), *sorted(own.glob(f"{part}_*.py")), own / f"behaviour_{part}.py"]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]


def _line(row: Row) -> str:
    """Return one figure: ours, the bar, whether it is met, and the peers."""
    bar = f"{'>=' if row.at_least else '<='} {row.bar:g}"
    peers = ", ".join(f"{name} {value:.3g}" for name, value in row.peers.items())
    return f"  {row.what:58} {row.ours:8.4g} {row.unit:3} {bar:10} {'met' if row.met else 'NOT MET':8} {peers}"


if __name__ == "__main__":
    main()
