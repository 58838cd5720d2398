"""docs/kubernetes.md speaks of what there is."""

import re

import yaml

from deploy.kubernetes.chart import CHART
from deploy.setup.stamps import ROOT

PAGE = (ROOT / "docs/kubernetes.md").read_text()


def test_every_refusal_in_the_troubleshooting_is_one_of_the_actuators() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "actuator").rglob("*.py"))
    table = PAGE.partition("| refusal | look at |")[2].partition("\n\n")[0]
    told = {code for row in table.splitlines() for code in re.findall(r"`([a-z_]+)`", row.split(" | ")[0])}
    assert len(told) > 10
    assert not [code for code in told - {"forbidden"} if f'"{code}"' not in sources]


def test_every_value_named_on_the_page_is_one_of_the_charts() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    sections = "actuator|exporter|probe|steering|prometheus|prometheusOperator|networkPolicy"
    named = set(re.findall(rf"`(?:({sections})\.(\w+))", PAGE))
    assert len(named) > 8
    assert not [f"{section}.{key}" for section, key in named if key not in values[section]]
