"""Runs one case of the fault matrix to its end, mending the world between the processes as people would."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.run.journal import Status
from ctmupgrade.core.version import Version
from ctmupgrade.sim import Fault, World
from tests.support.fault_cases import NODE, SETTINGS, TIMES, Pointed, What
from tests.support.promises import check_promises
from tests.support.world_run import Drive, at_step, make_world, mend, versions

RESUMES = 4


@dataclass
class Story:
    """What happened: exit codes of all processes, and what was said at the first stop."""

    codes: list[int]
    said: list[tuple[str, str, str]] = field(default_factory=list)  # step, error, remedy, of every stop
    broken: list[str] = field(default_factory=list)
    decided: list[str] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    late: float = 0.0  # seconds longer than without the fault
    struck: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def first(self) -> int:
        return self.codes[0]

    @property
    def well(self) -> bool:
        return self.codes[-1] == 0 and set(self.versions) == {"2.21.0"}


def story_of(drive: Drive) -> Story:
    """Runs it, and goes on until it is done or nothing helps."""
    story = Story([drive.start()])
    while story.codes[-1] != 0 and len(story.codes) <= RESUMES:
        story.said += [(step, held.error, held.remedy) for step, held in drive.stuck]
        if drive.error:
            story.said.append(("", drive.error.brief, drive.error.remedy))
        mend(drive.world)
        drive.journal.room = -1
        story.decided += decide(drive)
        story.codes.append(drive.resume())
    story.broken = broken_promises(drive)
    story.versions = list(versions(drive.world))
    story.notes = [n for held in drive.state.steps.values() for n in held.notes]
    return story


def decide(drive: Drive) -> list[str]:
    """What an operator who reads the messages decides. He looks at the node first, so he knows the truth."""
    made = []
    for step, held in drive.stuck:
        node = held_node(drive, step)
        if not node or "node retry" not in held.remedy:
            continue
        real = drive.world.nodes[node]
        target = drive.cluster.target.version
        # A script that succeeded has succeeded, whatever version comes up with the reboot that it waits for.
        there = bool(real.pending) or Version.parse(real.version).same_release(target)
        done = "done" in held.remedy and step.startswith("upgrade:") and there
        drive.decide(node, "done" if done else "retry")
        made.append(f"{'done' if done else 'retry'} {step}")
    return made


def held_node(drive: Drive, step: str) -> str:
    return drive.state.plan.step(step).node


def broken_promises(drive: Drive) -> list[str]:
    """Those of the event log, and promise 4 from the journal."""
    found = check_promises(
        drive.world, changes_expected=True, in_place=drive.strategy is StrategyName.IN_PLACE
    )
    if (
        drive.strategy is StrategyName.REBUILD
    ):  # only the survivor is backed up: the others hold the same data
        found = [f for f in found if "without a downloaded backup" not in f or "ctm-1" in f]
    return found + unproven(drive)


def unproven(drive: Drive) -> list[str]:
    """Promise 4: a node counts as done only with every part of the proof."""
    state, found = drive.state, []
    for step in state.plan.steps:
        held = state.steps[step.id]
        if held.status is not Status.DONE or "operator" in held.evidence or not held.started:
            continue
        kind = step.id.split(":")[0]
        need = {"upgrade": "success_line", "reboot": "boot", "settle": "version"}.get(kind)
        if need and need not in held.evidence:
            found.append(f"promise 4: {step.id} is done without its {need}")
        if kind == "settle":
            real = drive.world.nodes[step.node].version
            if (
                state.outcome == "done"
                and Version.parse(real).release != drive.cluster.target.version.release
            ):
                found.append(f"promise 4: {step.node} counts as done with {real}")
    return found


def world_for(extra: dict[str, object] | None = None) -> World:
    return make_world(3, defaults={"times": TIMES}, **(extra or {}))


@cache
def usual(strategy: StrategyName) -> float:
    """Virtual seconds of a run without any fault."""
    with tempfile.TemporaryDirectory() as folder:
        drive = Drive(world_for(), Path(folder), strategy, settings=SETTINGS)
        assert drive.start() == 0, drive.stuck
        return drive.world.now


def run_everywhere(what: What, step: str, folder: Path, *, node: str = NODE, moment: str = "start",
                   strategy: StrategyName = StrategyName.IN_PLACE) -> Story:  # fmt: skip
    """The fault begins right after the step's start was journaled (or in its middle)."""
    world = world_for()
    named = f"{step}:{node}" if step != "verify-archive" else step
    hook = at_step(world, named, what.fault(node), moment=moment)
    drive = Drive(world, folder, strategy, settings=SETTINGS, hook=hook)
    story = story_of(drive)
    story.struck = bool(world.of_kind("fault"))
    story.late = world.now
    return story


def run_pointed(case: Pointed, folder: Path) -> Story:
    """The fault waits for its trigger from the moment the plan is made."""
    world = world_for()
    drive = Drive(world, folder, case.strategy, settings=SETTINGS)
    plan = drive.plan()
    fault: Fault = case.what.fault(case.node, case.when)
    world.inject(fault)
    drive.plan = lambda: plan  # type: ignore[method-assign] # made before the fault, as people do
    story = story_of(drive)
    story.struck = bool(world.of_kind("fault")) or fault.struck > 0
    story.late = world.now
    return story
