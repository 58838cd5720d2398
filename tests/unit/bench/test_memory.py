from itertools import islice

from bench_memory import churn
from synthetic import EPOCH, Churning

_WARM = 5
_TABLES = 6.0
"""MiB: what is learned of those that are gone is kept for a while, in tables that fill up to a bound."""


def test_a_churning_node_has_one_more_container_a_second_and_each_for_its_life() -> None:
    node = Churning(2, 30)
    for at, jobs in ((0, 1), (9, 10), (29, 30), (500, 30)):
        text = node.cadvisor(EPOCH + at).decode()
        assert text.count("container_threads{") == 2 + jobs
        assert f'name="job-{at:06}"' in text
    assert 'name="job-000470"' not in node.probe(EPOCH + 500).decode()


def test_what_is_held_does_not_grow_with_containers_that_are_gone() -> None:
    held = list(islice(churn(seconds=270, lasting=5), _WARM, None))
    warm, last = held[0], held[-1]
    assert last.containers - warm.containers > 150
    assert last.objects < 1.01 * warm.objects
    assert last.mib - warm.mib < _TABLES
