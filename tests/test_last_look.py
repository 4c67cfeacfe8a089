"""A refused login is tried again only after minutes. A step whose time ends before that try makes it first. In the simulator."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from ctmupgrade.collect.login_guard import SPACED
from ctmupgrade.core.model import Options
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.run.journal import Event, StepDone, StepFailed
from ctmupgrade.core.ticks import Tick, Waiting
from ctmupgrade.sim import World
from tests.support.fault_cases import SETTINGS, TIMES
from tests.support.world_run import Drive, make_world

REBUILD, IN_PLACE = StrategyName.REBUILD, StrategyName.IN_PLACE


def drive_of(folder: Path, strategy: StrategyName, service_s: float, login_s: float, **more: float) -> Drive:
    """Three nodes that refuse logins for so long after every boot, removal and deletion; waits are this short."""
    world = make_world(3, defaults={"times": {**TIMES, "login_s": login_s, **more}})
    options = Options(survivor="ctm-1" if strategy is REBUILD else "")
    drive = Drive(
        world, folder, strategy, options=options, settings={**SETTINGS, "poll": timedelta(seconds=5)}
    )
    timeouts = replace(drive.cluster.timeouts, service=timedelta(seconds=service_s))
    drive.cluster = replace(drive.cluster, timeouts=timeouts, stable_for=timedelta(seconds=10))
    return drive


@pytest.mark.parametrize("login_s", [45.0, 70.0, 100.0])
def test_a_deletion_is_looked_at_when_the_login_is_tried_again(login_s: float, tmp_path: Path) -> None:
    """Its patience, twice 60 s, ends between two tries of the login."""
    drive = drive_of(tmp_path, REBUILD, 60.0, login_s, start_s=5.0)
    assert drive.start() == 0, drive.stuck


@pytest.mark.parametrize("login_s", [45.0, 110.0])
def test_a_node_is_looked_at_when_the_login_is_tried_again(login_s: float, tmp_path: Path) -> None:
    drive = drive_of(tmp_path, IN_PLACE, 60.0, login_s, start_s=5.0)
    assert drive.start() == 0, drive.stuck
    for node in drive.world.nodes:
        tries = [e.at for e in drive.world.of_kind("login_refused", node)]
        assert all(after - before >= SPACED[0] - 5 for before, after in pairwise(tries)), (
            "no sooner than before"
        )


def test_a_login_that_is_refused_for_good_is_waited_for_once_more_only(tmp_path: Path) -> None:
    """However often it is refused, the wait ends with the one try that was due when its time was over."""
    drive = drive_of(tmp_path, IN_PLACE, 60.0, 0.0, start_s=5.0)
    done: list[float] = []
    untils: list[Waiting] = []

    def refuse(world: World) -> None:
        for node in world.nodes.values():
            node.times = replace(node.times, login_s=1e6)
            node.changed_at = world.now

    def hook(step: str, event: Event | None, tick: Tick | None) -> None:
        if step == "reboot:ctm-1" and isinstance(event, StepDone):
            refuse(drive.world)
            done.append(drive.world.now)
        if step == "await:ctm-1" and isinstance(event, StepFailed):
            done.append(drive.world.now)
        if step == "await:ctm-1" and isinstance(tick, Waiting):
            untils.append(tick)

    drive.hook = hook
    assert drive.start() in (5, 6)
    assert "login as admin" in drive.stuck[0][1].error
    began, ended = done
    assert 60.0 < ended - began <= 60.0 + max(SPACED)
    assert len(drive.world.of_kind("login_refused", "ctm-1")) <= 3
    assert untils[-1].until > untils[0].until, "until when it waits is told"
