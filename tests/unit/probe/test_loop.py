from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.probe import kernel
from exporter.probe.cgroups import Hierarchy
from exporter.probe.loop import count_once
from exporter.probe.pairs import Pairs
from exporter.probe.probe import Probe
from exporter.probe.tally import Tally

PRINT = r"""printf '%s\n' '{"type": "printf", "data": "print\n"}' '{"type": "printf", "data": "end\n"}'"""
CUT = """printf '{"type": "map", "data": {"@calls": {"7,39": 5, '"""


@pytest.fixture
def end_of(tmp_path: Path, hierarchy: Hierarchy, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Return lines of shell that stand for the program in the kernel → what is told of its end."""

    def end(*script: str) -> str:
        program = tmp_path / kernel.NAME
        program.write_text("\n".join(("#!/bin/sh", *script)))
        program.chmod(0o755)
        monkeypatch.setattr(kernel, "path", lambda: program)
        probe = Probe(hierarchy, Tally(), Pairs(), clock=lambda: 0.0, patience=60.0)
        return count_once(probe, interval=1.0)

    return end


def test_what_a_program_said_last_is_told_with_its_code(end_of: Callable[..., str]) -> None:
    assert end_of("echo 'a warning'", "echo 'ERROR: why'", "exit 1") == "with code 1: ERROR: why"


def test_a_program_killed_in_the_middle_of_a_print_leaves_neither_the_print_nor_an_old_warning_as_its_reason(
    end_of: Callable[..., str],
) -> None:
    assert end_of("echo 'a warning'", PRINT, CUT, "kill -KILL $$") == "with code -9: it said nothing"


def test_an_error_in_the_middle_of_a_print_is_told(end_of: Callable[..., str]) -> None:
    assert end_of(PRINT, CUT, "printf '\\nERROR: cannot read\\n'", "exit 1") == "with code 1: ERROR: cannot read"
