import importlib.util
import re
import subprocess
from pathlib import Path
from typing import Any

import yaml

from exporter.publish.catalogue import CATALOGUE

Json = dict[str, Any]
SAMPLE_VALUES = {"$__rate_interval": "5m", "$horizon": "5m"}


def expressions(panels: list[Json]) -> list[str]:
    return [target["expr"] for panel in panels for target in panel["targets"]]


def test_the_committed_dashboards_are_what_the_panels_say(grafana_folder: Path) -> None:
    spec = importlib.util.spec_from_file_location("build", grafana_folder / "build.py")
    assert spec is not None
    assert spec.loader is not None
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    sources = sorted((grafana_folder / "panels").glob("*.yml"))
    assert [path.stem for path in sources] == ["container", "fleet"]
    for source in sources:
        committed = grafana_folder / "dashboards" / f"{source.stem}.json"
        assert committed.read_text() == build.render(source), f"{committed.name} is stale: run grafana/build.py"


def test_a_dashboard_can_be_provisioned_and_cannot_be_edited_in_place(dashboard: Json) -> None:
    assert dashboard["id"] is None
    assert dashboard["uid"] in {"cpp-container", "cpp-fleet"}
    assert dashboard["title"]
    assert dashboard["editable"] is False
    assert dashboard["schemaVersion"] >= 36
    assert not {"__inputs", "__requires"} & dashboard.keys()


def test_the_first_variable_chooses_the_data_source_and_the_others_follow_the_time_range(dashboard: Json) -> None:
    first, *others = dashboard["templating"]["list"]
    assert (first["type"], first["name"], first["label"]) == ("datasource", "datasource", "Data source")
    assert [variable["refresh"] for variable in others] == [2] * len(others)
    assert {variable["type"] for variable in others} == {"query"}
    assert {variable["datasource"]["uid"] for variable in others} == {"${datasource}"}


def test_dashboards_lead_to_each_other(dashboard: Json) -> None:
    other = {"cpp-container": "/d/cpp-fleet", "cpp-fleet": "/d/cpp-container"}[dashboard["uid"]]
    assert [link["url"] for link in dashboard["links"]] == [other]


def test_every_panel_has_a_title_a_description_a_unit_a_source_and_something_to_show(panels: list[Json]) -> None:
    for panel in panels:
        assert panel["title"], panel
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}", panel["title"]
        assert panel["targets"], panel["title"]
        for target in panel["targets"]:
            assert target["legendFormat"], panel["title"]
            assert target["datasource"]["uid"] == "${datasource}", panel["title"]


def test_titles_and_numbers_are_unique(dashboard: Json, panels: list[Json]) -> None:
    assert len({panel["title"] for panel in panels}) == len(panels)
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_panels_do_not_overlap_and_stay_on_the_grid(dashboard: Json) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        columns, rows = range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        cells = {(x, y) for x in columns for y in rows}
        assert columns.stop <= 24, panel["title"]
        assert not cells & taken, panel["title"]
        taken |= cells


def test_counters_are_asked_for_their_increase_over_the_rate_interval_only(panels: list[Json]) -> None:
    for expression in expressions(panels):
        for match in re.finditer(r"(\w+)\((cpp_\w+_total)[^[]*(\[[^]]*\])?", expression):
            assert match[1] in {"rate", "increase"}, expression
            assert match[3] == "[$__rate_interval]", expression
        assert expression.count("_total") == len(re.findall(r"(?:rate|increase)\(cpp_\w+_total", expression))


def test_every_variable_is_used_and_every_one_used_exists(dashboard: Json, panels: list[Json]) -> None:
    named = {variable["name"] for variable in dashboard["templating"]["list"]} - {"datasource"}
    used = set(re.findall(r"\$(\w+)", " ".join(expressions(panels)))) - {"__rate_interval"}
    assert used == named


def test_what_is_asked_at_the_end_of_the_time_range_is_not_asked_of_the_future(panels: list[Json]) -> None:
    for panel in panels:
        assert ("timeFrom" in panel) == (panel["type"] != "timeseries"), panel["title"]


def test_promtool_accepts_every_expression(panels: list[Json], tmp_path: Path) -> None:
    rules = []
    for number, expression in enumerate(expressions(panels)):
        filled = re.sub(r"\$\w+", lambda match: SAMPLE_VALUES.get(match[0], "x"), expression)
        rules.append({"record": f"panel:expression:{number}", "expr": filled})
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    command = ["promtool", "check", "rules", str(file)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_series_asked_for_is_served_or_recorded(grafana_folder: Path, panels: list[Json]) -> None:
    root = grafana_folder.parent
    recorded = set(re.findall(r"record: (\S+)", (root / "rules" / "recording.yml").read_text()))
    written = set(re.findall(r'"(cpp_\w+)"', (root / "actuator" / "metrics.py").read_text()))
    known = {metric.name for metric in CATALOGUE} | recorded | written | {f"{name}_total" for name in written}
    for expression in expressions(panels):
        asked = set(re.findall(r"(?:\w+:)?cpp_\w+(?::\w+)?", expression))
        assert asked <= known, asked - known


def test_every_resource_shows_its_use_and_three_quantiles_of_its_forecast(grafana_folder: Path) -> None:
    spec = yaml.safe_load((grafana_folder / "panels" / "container.yml").read_text())
    bands = [panel for row in spec["rows"] for panel in row["panels"] if panel.get("kind") == "band"]
    assert len(bands) == 6
    assert all({"used", "0.5", "0.9", "0.99"} <= panel["targets"].keys() for panel in bands)


def test_provisioning_loads_a_prometheus_and_the_folder_of_dashboards(grafana_folder: Path) -> None:
    provisioning = grafana_folder / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert (source["type"], source["isDefault"]) == ("prometheus", True)
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "cpp.yml").read_text())["providers"]
    assert provider["type"] == "file"
    assert provider["allowUiUpdates"] is False
