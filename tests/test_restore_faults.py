"""Every fault at every step of a restore: what the run does, that it breaks no promise, and that it ends well once mended."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import fault_expected
from tests.support.fault_cases import EVERYWHERE, FIRST, RESTORE_STEPS, RESTORES, Pointed, What
from tests.support.fault_run import Story, story_of
from tests.support.lost_cluster import RestoreDrive, again, whole
from tests.support.world_run import at_step

OTHER = (
    "an archive is",
    "the archive on",
    "second operator's ks_upgrade",
    "removes the member",
)  # of upgrades alone
FAULTS = [w for w in EVERYWHERE if not any(words in w.name for words in OTHER)]


def told(story: Story, drive: RestoreDrive) -> None:
    """What must be true whatever the fault."""
    assert story.codes[-1] == 0, (story, drive.stuck)
    assert whole(drive.world) == [], story
    assert story.broken == [], story
    assert set(story.codes) <= {0, 3, 4, 5, 6}, story.codes
    for step, error, remedy in story.said:
        assert error and "ctmupgrade" in remedy, (step, error, remedy)


def everywhere(what: What, step: str, folder: Path, moment: str = "start") -> None:
    drive = again(folder)
    drive.hook = at_step(drive.world, f"{step}:{FIRST}", what.fault(FIRST), moment=moment)
    told(story_of(drive), drive)


@pytest.mark.parametrize("number", range(0, len(FAULTS), 3))
def test_every_third_fault_at_one_step_of_a_restore(number: int, tmp_path: Path) -> None:
    everywhere(FAULTS[number], RESTORE_STEPS[number % len(RESTORE_STEPS)], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["start", "middle"])
@pytest.mark.parametrize("step", RESTORE_STEPS)
@pytest.mark.parametrize("what", FAULTS, ids=lambda w: w.name)
def test_every_fault_at_every_step_of_a_restore(what: What, step: str, moment: str, tmp_path: Path) -> None:
    everywhere(what, step, tmp_path, moment)


CASES = [pytest.param(c, marks=[pytest.mark.slow] if c.step == "upload-backup" else []) for c in RESTORES]


@pytest.mark.parametrize("case", CASES, ids=[f"{c.step}-{c.what.name}" for c in RESTORES])
def test_a_fault_of_one_moment_of_a_restore(case: Pointed, tmp_path: Path) -> None:
    drive = again(tmp_path)
    plan = drive.plan()
    fault = case.what.fault(case.node, case.when)
    drive.world.inject(fault)
    drive.plan = lambda: plan  # type: ignore[method-assign]  # made before the fault
    quick = drive.world.now
    story = story_of(drive)
    told(story, drive)
    assert drive.world.of_kind("fault") or fault.struck
    late = drive.world.now - quick > USUAL + 1
    found = " ".join([*(str(c) for c in story.codes[:-1]), *(d.split()[0] for d in story.decided)])
    found = found or ("0w" if late else "0")
    assert found == fault_expected.RESTORES[case.step, case.what.name], story


USUAL = 2080.0  # virtual seconds of this restore without a fault
