"""The ledger as a table for a terminal: alert, order, plan or refusal, steps, outcome."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

Document = dict[str, Any]


def render(actions: Iterable[Document]) -> str:
    """Return a block of lines for each action, oldest first."""
    blocks = ["\n".join(_block(action)) for action in actions]
    return "\n\n".join(reversed(blocks)) if blocks else "Nothing has been asked of this actuator yet."


def _block(action: Document) -> Iterator[str]:
    resource = f" {action['resource']}" if action["resource"] else ""
    target = action["target"]
    name = target["container"] or target["pod"] or "(no container)"
    yield f"#{action['id']}  {_time(action['opened_at'])}  {name} {target['container_id'][:12]}".rstrip()
    for alert in action["alerts"]:
        state = "firing" if alert["firing"] else "resolved"
        yield f"  alert    {alert['name']} since {alert['starts_at']}, {state}, delivered {alert['deliveries']} times"
    yield f"  order    {action['intent']}{resource}, {action['state']}: {_line(action['reason'])}"
    for decision in action["decisions"]:
        yield from _decision(decision)
    yield f"  outcome  {action['outcome']}"


def _decision(decision: Document) -> Iterator[str]:
    word = "plan   " if decision["kind"] == "plan" else "refusal"
    code = "" if decision["kind"] == "plan" else f"{decision['code']}: "
    times = f" ({decision['times']} times, last {_time(decision['last_at'])})" if decision["times"] > 1 else ""
    yield f"  {word}  {_time(decision['at'])}  {code}{_line(decision['reason'])}{times}"
    for step in decision["steps"]:
        what = " ".join(filter(None, (step["kind"], step["resource"], _change(step))))
        yield f"    step   {what}  {step['state']}{_evidence(step)}"


def _change(step: Document) -> str:
    if step["node"]:
        return f"to {step['node']}"
    unit = "cores" if step["resource"] == "cpu" else "bytes"
    return f"{_amount(step['before'])} -> {_amount(step['after'])} {unit}"


def _evidence(step: Document) -> str:
    kernel = f"  {step['kernel_file']}: {step['before_raw']} -> {step['after_raw']}" if step["kernel_file"] else ""
    return kernel + (f"  ({_line(step['error'])})" if step["error"] else "")


def _amount(value: float | None) -> str:
    return "none" if value is None else f"{value:.10g}"


def _time(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _line(text: str) -> str:
    return " ".join(text.split())
