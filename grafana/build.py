"""Writes dashboards/*.json from panels/*.yml; a test fails where they differ. Run it after each change of the latter.

The classic dashboard model: Grafana 9 to 13 take it, by provisioning and by import.
"""

import json
import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
LINK_TO_CONTAINER = (
    "/d/cpp-container?var-datasource=${datasource}"
    "&var-node=${__field.labels.node}&var-container=${__field.labels.container}"
)
# Instant queries and last values are asked at the end of the time range, which may be in the future.
UNTIL_NOW = {"timeFrom": "15m", "hideTimeOverride": True}
Json = dict[str, Any]


def dashboard(spec: Json) -> Json:
    """Return the dashboard that ``spec``, the content of a file in panels/, describes."""
    return {
        "id": None,
        "uid": spec["uid"],
        "title": spec["title"],
        "description": spec["description"],
        "tags": spec["tags"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "timezone": "browser",
        "refresh": "15s",
        "time": spec["time"],
        "links": [_link(title, uid) for title, uid in spec["links"].items()],
        "templating": {"list": [_datasource_variable(), *map(_variable, spec["variables"])]},
        "annotations": {"list": []},
        "panels": _layout(spec),
    }


def _link(title: str, uid: str) -> Json:
    return {
        "type": "link",
        "title": title,
        "url": f"/d/{uid}",
        "includeVars": True,
        "keepTime": True,
        "icon": "dashboard",
    }


def _datasource_variable() -> Json:
    return {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "refresh": 1}


def _variable(spec: Json) -> Json:
    everything = spec.get("all", False)
    return {
        "name": spec["name"],
        "label": spec["name"].capitalize(),
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": spec["query"], "refId": spec["name"]},
        "definition": spec["query"],
        "refresh": 2,
        "sort": 3 if spec["name"] == "horizon" else 1,
        "multi": spec.get("multi", False),
        "includeAll": everything,
        **({"allValue": ".*", "current": {"text": "All", "value": "$__all"}} if everything else {}),
    }


def _layout(spec: Json) -> list[Json]:
    """Rows from top to bottom, their panels from left to right on a grid 24 units wide."""
    panels: list[Json] = []
    top = 0
    for row in spec["rows"]:
        place = {"h": 1, "w": 24, "x": 0, "y": top}
        panels.append({"type": "row", "title": row["title"], "collapsed": False, "panels": [], "gridPos": place})
        left, top = 0, top + 1
        for panel in row["panels"]:
            if left + panel["width"] > 24:
                left, top = 0, top + row["height"]
            place = {"h": row["height"], "w": panel["width"], "x": left, "y": top}
            panels.append(_panel(panel, spec["selector"], place))
            left += panel["width"]
        top += row["height"]
    return [{"id": number, **panel} for number, panel in enumerate(panels, start=1)]


def _panel(spec: Json, selector: str, place: Json) -> Json:
    kind = spec.get("kind", "timeseries")
    shape = {"stat": _stat, "top": _top}.get(kind, _timeseries)
    return {
        "title": spec["title"],
        "description": spec["description"],
        "datasource": DATASOURCE,
        "gridPos": place,
        "targets": [
            _target(chr(ord("A") + index), legend, expression, selector, instant=kind == "top")
            for index, (legend, expression) in enumerate(spec["targets"].items())
        ],
        **shape(spec),
    }


def _target(ref: str, legend: str, expression: str, selector: str, *, instant: bool) -> Json:
    pod = selector.replace('container=~"$container"', 'container=~"$container|"')
    expression = re.sub(r"fresh\(([^()]+)\)", r"(\1 and time() - timestamp(\1) < 90)", expression)
    return {
        "refId": ref,
        "datasource": DATASOURCE,
        "expr": expression.replace("@net", pod).replace("@", selector),
        "legendFormat": legend,
        "instant": instant,
        "range": not instant,
    }


def _defaults(spec: Json) -> Json:
    units = {"cores": "suffix: cores"}
    limits = {"min": 0, "max": spec["max"]} if "max" in spec else {}
    return {"unit": units.get(spec["unit"], spec["unit"]), **limits}


def _stat(spec: Json) -> Json:
    options = {"reduceOptions": {"calcs": ["lastNotNull"]}, "textMode": spec.get("text", "value"), "colorMode": "none"}
    config = {"defaults": _defaults(spec), "overrides": []}
    return {"type": "stat", **UNTIL_NOW, "fieldConfig": config, "options": options}


def _top(spec: Json) -> Json:
    links = [{"title": "Show this container", "url": LINK_TO_CONTAINER}]
    return {
        "type": "bargauge",
        **UNTIL_NOW,
        "fieldConfig": {"defaults": {**_defaults(spec), "links": links}, "overrides": []},
        "options": {"orientation": "horizontal", "displayMode": "basic", "reduceOptions": {"calcs": ["lastNotNull"]}},
    }


def _timeseries(spec: Json) -> Json:
    custom: Json = {"lineWidth": 1, "fillOpacity": 0, "showPoints": "never", "spanNulls": 120_000}
    if spec.get("stack"):
        custom |= {"fillOpacity": 30, "stacking": {"mode": "normal"}}
    overrides = [*map(_override, _BAND.items())] if spec.get("kind") == "band" else []
    return {
        "type": "timeseries",
        "fieldConfig": {"defaults": {**_defaults(spec), "custom": custom}, "overrides": overrides},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
    }


_BAND: Json = {
    "used": {"custom.lineWidth": 2, "color": {"mode": "fixed", "fixedColor": "green"}},
    "0.5": {"custom.lineStyle": {"fill": "dash"}, "color": {"mode": "fixed", "fixedColor": "blue"}},
    "0.9": {"color": {"mode": "fixed", "fixedColor": "blue"}},
    "0.99": {
        "custom.fillBelowTo": "0.5",
        "custom.fillOpacity": 15,
        "color": {"mode": "fixed", "fixedColor": "light-blue"},
    },
    "limit": {"custom.lineStyle": {"fill": "dash"}, "color": {"mode": "fixed", "fixedColor": "red"}},
}


def _override(item: tuple[str, Json]) -> Json:
    name, properties = item
    listed = [{"id": key, "value": value} for key, value in properties.items()]
    return {"matcher": {"id": "byName", "options": name}, "properties": listed}


def render(panels: Path) -> str:
    """Return the text of the dashboard that the file describes."""
    return json.dumps(dashboard(yaml.safe_load(panels.read_text())), indent=2) + "\n"


if __name__ == "__main__":
    for source in sorted((ROOT / "panels").glob("*.yml")):
        (ROOT / "dashboards" / f"{source.stem}.json").write_text(render(source))
