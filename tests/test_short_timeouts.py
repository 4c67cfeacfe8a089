"""Where an operator has made the time-outs short, a start that was not taken is made again in time. In the simulator."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from ctmupgrade.core.model import Options
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.sim.faults import Fault
from tests.support.fault_cases import SETTINGS, TIMES
from tests.support.world_run import Drive, make_world


def test_what_is_answered_not_now_is_sent_again_before_the_time_out(tmp_path: Path) -> None:
    """``cluster new`` is answered with HTTP 500 once, as by a node whose services have just started."""
    options = Options(survivor="ctm-1")
    world = make_world(2, defaults={"times": TIMES})
    drive = Drive(world, tmp_path, StrategyName.REBUILD, options=options, settings=SETTINGS)
    drive.cluster = replace(
        drive.cluster, timeouts=replace(drive.cluster.timeouts, service=timedelta(minutes=1))
    )
    world.inject(Fault("error", "ctm-1", "command ksctl cluster new", 0.0, 1, {"code": 14}))
    assert drive.start() == 0, [(step, held.error) for step, held in drive.stuck]
