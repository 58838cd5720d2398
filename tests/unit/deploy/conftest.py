"""What the chart makes, as objects."""

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from deploy.kubernetes.chart import CHART, run_helm

Objects = dict[tuple[str, str, str], dict[str, Any]]


class Loader(yaml.SafeLoader):
    """Reads a plain = as everybody but YAML 1.1 does."""


Loader.add_constructor("tag:yaml.org,2002:value", yaml.SafeLoader.construct_yaml_str)


def by_name(text: str) -> Objects:
    """Objects by (kind, namespace, name)."""
    found = {}
    for document in filter(None, yaml.load_all(text, Loader)):
        metadata = document["metadata"]
        key = (document["kind"], metadata.get("namespace", ""), metadata["name"])
        assert key not in found, f"{key} is made twice"
        found[key] = document
    return found


@pytest.fixture(scope="session")
def objects() -> Callable[[str], Objects]:
    return by_name


@pytest.fixture(scope="session")
def chart() -> Callable[..., Objects]:
    """Objects of the chart with values set: ``chart("actuator.replicas=1")``."""

    def render(*values: str) -> Objects:
        sets = [f"--set-json={value}" for value in values]
        return by_name(run_helm("template", "cpp", CHART, "--namespace=cpp-system", *sets))

    return render


@pytest.fixture(scope="session")
def shipped(chart: Callable[..., Objects]) -> Objects:
    """Objects of the chart as it is shipped, with those of the Prometheus operator."""
    return chart("prometheusOperator.enabled=true")
