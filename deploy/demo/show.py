"""The demo itself: start the system and the workloads, follow what happens, and end when all stories are told."""

import time
from pathlib import Path

from deploy.demo import workloads
from deploy.demo.kernel import LimitFiles
from deploy.demo.ledger import read_alerts, read_verdicts
from deploy.demo.limits import LimitWatch
from deploy.demo.narrator import Narrator, RiseWatch
from deploy.demo.report import table, write_report
from deploy.demo.stack import Stack
from deploy.demo.story import Story
from deploy.demo.workloads import Workload
from deploy.setup.shell import say

_LONGEST_SECONDS = 330.0
_LOOK_SECONDS = 0.5
_ASK_SECONDS = 2.0


def show(stack: Stack, narrator: Narrator, report: Path) -> list[str]:
    """Run the demo on a prepared stack; return what was missing when the time was over."""
    files: dict[str, LimitFiles] = {}
    for workload in (workloads.SERVICE, workloads.LEAK, workloads.VICTIM):
        _add(stack, workload, files, narrator)
    stack.start()
    narrator.line("learning from what the containers do; alerts and actions follow")
    service, leak, noise, victim = (f"{stack.run}-{name}" for name in ("service", "leak", "noise", "victim"))
    story = Story(service, leak, noise, victim, workloads.rhythm_of(service))
    _follow(stack, story, files, narrator)
    write_report(story, report)
    say("\n" + table(story) + "\n")
    return story.missing()


def _add(stack: Stack, workload: Workload, files: dict[str, LimitFiles], narrator: Narrator) -> None:
    name, files[f"{stack.run}-{workload.name}"] = workloads.start(stack.containers, workload)
    narrator.line(f"{name}: {workload.tells}")


def _follow(stack: Stack, story: Story, files: dict[str, LimitFiles], narrator: Narrator) -> None:
    """Look at the kernel often, and ask the system now and then, until all is told or the time is over."""
    rises = RiseWatch(files[story.service], story.rhythm, story.rises)
    watch, asked = LimitWatch(files), 0.0
    while story.missing() and (now := time.time()) < narrator.began + _LONGEST_SECONDS:
        late = now > narrator.began + workloads.NOISE_AFTER
        if story.noise not in files and (late or story.activation()):
            _add(stack, workloads.NOISE, files, narrator)
        if line := rises.look(now):
            narrator.line(line)
        _look(watch, story, narrator, now)
        if now > asked + _ASK_SECONDS:
            asked = now
            _ask(stack, story, narrator)
        time.sleep(_LOOK_SECONDS)


def _look(watch: LimitWatch, story: Story, narrator: Narrator, now: float) -> None:
    for change in watch.changes(now):
        story.changes.append(change)
        narrator.change(change, story.rhythm)


def _ask(stack: Stack, story: Story, narrator: Narrator) -> None:
    narrator.alerts(read_alerts(stack.url("prometheus")))
    story.verdicts = read_verdicts(stack.url("actuator"))
    narrator.verdicts(story.verdicts)
