"""Pages made from the code: docs/metrics.md and the JSON Schema of the CPP document."""

import json
import sys
from pathlib import Path

from exporter.document import Profile
from exporter.publish.catalogue import CATALOGUE, IDENTITY, Metric

_HEAD = """# Metrics of cpp-exporter

Made from `exporter/publish/catalogue.py` by `make docs`; do not edit. *identity* stands for {identity}.

| metric | type | unit | labels | meaning |
|---|---|---|---|---|
"""


def metrics_page() -> str:
    """Return docs/metrics.md."""
    rows = "".join(_row(metric) for metric in CATALOGUE)
    return _HEAD.format(identity=", ".join(f"`{label}`" for label in IDENTITY)) + rows


def profile_schema() -> str:
    """Return docs/profile.schema.json."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Profile.model_json_schema()}
    return json.dumps(schema, indent=2) + "\n"


def _row(metric: Metric) -> str:
    whole = set(IDENTITY) <= set(metric.labels)
    labels = ["*identity*"] if whole else []
    labels += [f"`{label}`" for label in metric.labels if not (whole and label in IDENTITY)]
    return f"| `{metric.name}` | {metric.kind} | {metric.unit} | {', '.join(labels)} | {metric.help} |\n"


def main() -> None:
    """Write both pages into the folder given as the only argument."""
    folder = Path(sys.argv[1])
    (folder / "metrics.md").write_text(metrics_page())
    (folder / "profile.schema.json").write_text(profile_schema())


if __name__ == "__main__":
    main()
