"""What a plan promises about its time, against what the simulator takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.plan.plan import Plan
from tests.support.world_run import Drive, make_world

TIMES = {"upgrade_s": 1200, "reboot_s": 300, "start_s": 120, "join_s": 1800}


def _critical_path_s(plan: Plan, real: Mapping[str, int]) -> int:
    """The longest chain with the world's own times instead of the estimates."""
    timed = tuple(replace(s, estimate_s=real.get(s.action.kind, s.estimate_s)) for s in plan.steps)
    return replace(plan, steps=timed).critical_path_s()


@pytest.mark.parametrize("strategy", [StrategyName.REBUILD, StrategyName.IN_PLACE])
def test_ten_nodes_take_as_long_as_their_critical_path(strategy: StrategyName, tmp_path: Path) -> None:
    world = make_world(10, defaults={"times": TIMES})
    drive = Drive(world, tmp_path, strategy)
    plan = drive.plan()
    began = world.now
    assert drive.start(plan) == 0
    took = world.now - began
    best = _critical_path_s(plan, {"upgrade": 1200, "reboot": 300, "await": 120, "join": 1800, "gate": 0})
    assert took <= 1.05 * best
    assert plan.critical_path_s() == pytest.approx(took, rel=0.10)


def test_rebuild_upgrades_removed_nodes_side_by_side(tmp_path: Path) -> None:
    drive = Drive(make_world(5), tmp_path, StrategyName.REBUILD)
    assert drive.start() == 0
    survivor, *others = [e.at for e in drive.world.of_kind("upgrade_started")]
    assert len(others) == 4
    assert max(others) - min(others) <= 60 and min(others) > survivor
    joins = drive.world.of_kind("join_started")
    ends = drive.world.of_kind("join_done")
    assert all(nxt.at >= end.at for nxt, end in zip(joins[1:], ends, strict=False)), "one join at a time"
