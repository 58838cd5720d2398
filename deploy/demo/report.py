"""The demo's result, for a person and for a program."""

import json
import textwrap
from datetime import UTC, datetime
from pathlib import Path

from deploy.demo.ledger import Verdict
from deploy.demo.story import Act, Story

_HEADINGS = ("forecast or seen", "alert", "action", "in the kernel: before -> after")
_WIDTHS = (50, 18, 22, 40)


def write_report(story: Story, path: Path) -> None:
    """Write what really changed, values as the kernel holds them."""
    document = {"actions": [_entry(act) for act in story.acts()]}
    path.write_text(json.dumps(document, indent=2) + "\n")


def table(story: Story) -> str:
    """Return the table that ends the demo; a reservation is in the ledger alone and changes nothing in the kernel."""
    held = [(verdict.at, _held_row(verdict)) for verdict in story.verdicts if verdict.done("reserve")]
    done = [(act.change.at, _act_row(act)) for act in story.acts()]
    rule = "-+-".join("-" * width for width in _WIDTHS)
    rows = [row for _, row in sorted(held + done)]
    return "\n".join([*_lines(_HEADINGS), rule, *(line for row in rows for line in (*_lines(row), rule))])


def _entry(act: Act) -> dict[str, object]:
    change, verdict = act.change, act.verdict
    return {
        "container": change.container,
        "intent": verdict.intent,
        "resource": change.resource,
        "alert": verdict.alert,
        "reason": f"{verdict.seen} {verdict.decision}".strip(),
        "kernel_file": change.kernel_file,
        "before": change.before,
        "after": change.after,
        "at": datetime.fromtimestamp(change.at, UTC).isoformat(timespec="milliseconds"),
    }


def _act_row(act: Act) -> tuple[str, ...]:
    change = act.change
    kernel = f"{change.before} -> {change.after} in {change.kernel_file.removeprefix('/sys/fs/cgroup/')}"
    return act.verdict.seen, act.verdict.alert, f"{act.verdict.intent} {change.resource}", _short_id(kernel)


def _held_row(verdict: Verdict) -> tuple[str, ...]:
    return (
        verdict.seen,
        verdict.alert,
        f"{verdict.intent} {verdict.resource}",
        "held in the ledger, nothing changed yet",
    )


def _short_id(text: str) -> str:
    return "/".join(part[:12] if len(part) > 60 else part for part in text.split("/"))


def _lines(row: tuple[str, ...]) -> list[str]:
    """Wrap each cell to its column."""
    cells = [textwrap.wrap(text, width) or [""] for text, width in zip(row, _WIDTHS, strict=True)]
    height = max(map(len, cells))
    padded = [[*cell, *[""] * (height - len(cell))] for cell in cells]
    return [
        " | ".join(f"{part:{width}}" for part, width in zip(line, _WIDTHS, strict=True))
        for line in zip(*padded, strict=True)
    ]
