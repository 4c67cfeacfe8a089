"""What the control plane puts off is sent again, where looks show that nothing came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ctmupgrade.core.modes import StrategyName
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
