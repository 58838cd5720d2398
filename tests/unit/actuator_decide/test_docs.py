import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/decisions.md").read_text()


def codes() -> set[str]:
    """The first argument of every refusal and ceiling in the package."""
    found = set()
    for file in (ROOT / "actuator/decide").glob("*.py"):
        for call in ast.walk(ast.parse(file.read_text())):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
                position = {"refuse": 0, "refuse_for_good": 0, "Ceiling": 1}.get(call.func.id)
                if position is not None and isinstance(call.args[position], ast.Constant):
                    found.add(call.args[position].value)
    return found


def test_the_page_explains_every_refusal_and_no_other() -> None:
    table = PAGE.split("## Refusals")[1].split("## ")[0]
    explained = {
        code for line in table.splitlines() for code in re.findall(r"`([a-z_]+)`", "".join(line.split("|")[1:2]))
    }
    assert codes() == explained - {"code"}


def test_every_bound_that_the_page_names_exists() -> None:
    limits = (ROOT / "actuator/decide/limits.py").read_text()
    named = re.findall(r"`((?:reserve|activate|reclaim|throttle|memory|lead|leak|move|raise|host|min)_[a-z_]+)`", PAGE)
    for name in set(named) - codes():
        assert f"    {name}: " in limits, name
