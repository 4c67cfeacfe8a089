"""What the control plane puts off is sent again, where looks show that nothing came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ctmupgrade.actions.waits import MOST_REBOOTS
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.run import journal
from ctmupgrade.sim import Fault
from tests.support.fault_cases import SETTINGS, TIMES
from tests.support.fault_run import Story, story_of
from tests.support.world_run import Drive, make_world


def rebuilt(folder: Path, *faults: Fault, **world: Any) -> Story:
    made = make_world(3, defaults={"times": TIMES}, archive={"size": 200_000, "generated": True}, **world)
    made.strict = False
    drive = Drive(made, folder, strategy=StrategyName.REBUILD, settings=SETTINGS)
    plan = drive.plan()
    drive.plan = lambda: plan  # type: ignore[method-assign]
    drive.world.inject(*faults)
    return story_of(drive)


@pytest.mark.parametrize(
    ("words", "node"),
    [("cluster fulljoin", "ctm-1"), ("cluster nodes delete", "ctm-1"), ("cluster delete", "ctm-1")],
)
def test_consensus_is_down_for_a_moment(tmp_path: Path, words: str, node: str) -> None:
    """The answer of a member that has just taken another node in (docs/appliance.md 6): retried, not waited for in vain."""
    fault = Fault(
        "error",
        node="*",
        when=f"command ksctl {words}",
        params={"text": "NCERRInternalServerError: consensus is down"},
    )
    story = rebuilt(tmp_path, fault)
    assert story.broken == []
    assert story.codes == [0], story
    assert story.well


def test_a_node_whose_boot_does_not_tell_is_not_rebooted_without_end(tmp_path: Path) -> None:
    """Each reboot closes the connection and leaves the boot id as it was: a person must find out which of both is true."""
    drive = Drive(make_world(1), tmp_path, StrategyName.STANDALONE)
    drive.world.inject(Fault("drop", node="ctm-1", when="command sudo -n reboot", times=0))
    begun: list[str] = []
    drive.hook = lambda step, event, _: begun.append(step) if isinstance(event, journal.StepStarted) else None
    assert drive.start() == 5
    assert begun.count("reboot:ctm-1") == MOST_REBOOTS
    [(step, held)] = drive.stuck
    assert step == "reboot:ctm-1" and "it has not rebooted yet" in held.error
    assert "uptime" in held.remedy and "node done" in held.remedy
