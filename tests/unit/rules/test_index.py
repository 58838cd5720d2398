import importlib.util
from pathlib import Path


def test_the_page_of_alerts_is_what_the_rules_say(rules_folder: Path) -> None:
    spec = importlib.util.spec_from_file_location("index", rules_folder / "index.py")
    assert spec is not None
    assert spec.loader is not None
    index = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(index)
    assert index.PAGE.read_text() == index.render(), "docs/alerts.md is stale: run rules/index.py"
