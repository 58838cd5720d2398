"""Parsing a node's text: ours, which skips what nobody wants, against prometheus_client's parser in the same run."""

import json
import time
from collections.abc import Callable

from prometheus_client.parser import text_string_to_metric_families
from synthetic import EPOCH, SAMPLES, Node

from exporter.sources.exposition import parse
from exporter.sources.families import CADVISOR_WANTED

_CONTAINERS = 100
_ROUNDS = 5


def main() -> None:
    """Print CPU seconds and sizes."""
    text = Node(_CONTAINERS).cadvisor(EPOCH)
    wanted = sum(len(family.keys) for family in parse(text, CADVISOR_WANTED).values())
    ours = _best(lambda: parse(text, CADVISOR_WANTED))
    whole = text.decode()
    peer = _best(lambda: [len(family.samples) for family in text_string_to_metric_families(whole)], rounds=2)
    _print("cpu_seconds_per_100_containers", ours, "prometheus_client.parser", peer)
    _print("text_kilobytes_per_container", len(text) / 1000 / _CONTAINERS, "real cAdvisor", 35.0)
    _print("wanted_samples_per_container", wanted / _CONTAINERS, "all samples", float(SAMPLES))


def _best(work: Callable[[], object], rounds: int = _ROUNDS) -> float:
    """Return the least CPU seconds of some rounds: what else the machine did is not ours."""
    taken = []
    for _ in range(rounds):
        started = time.process_time()
        work()
        taken.append(time.process_time() - started)
    return min(taken)


def _print(metric: str, value: float, peer: str, peer_value: float) -> None:
    line = {"bench": "parse", "metric": metric, "value": round(value, 4)}
    line |= {"peer": peer, "peer_value": round(peer_value, 4), "ratio": round(peer_value / value, 2)}
    print(json.dumps(line))


if __name__ == "__main__":
    main()
