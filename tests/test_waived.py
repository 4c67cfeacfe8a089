"""A waived check is waived for the whole run, and for nothing more."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctmupgrade.commands import check
from ctmupgrade.core.model import Options
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.sim import Fault
from tests.support.fault_cases import SETTINGS, TIMES
from tests.support.fault_run import Story, story_of
from tests.support.world_run import Drive, make_world

WAIVED = Options(skips=(("services_started", "csm has no internet"),))


def drive_with(
    folder: Path, options: Options, *faults: Fault, strategy: StrategyName = StrategyName.IN_PLACE
) -> Drive:
    """All nodes have a service that stays in error for good (docs/appliance.md 4.2: the secrets manager without internet)."""
    world = make_world(
        3,
        defaults={"times": TIMES, "services": {"web": "started", "secrets-manager": "error"}},
        archive={"size": 200_000, "generated": True},
    )
    world.strict = False
    world.inject(*faults)
    return Drive(world, folder, strategy=strategy, settings=SETTINGS, options=options)


def story(drive: Drive) -> Story:
    told = story_of(drive)
    assert told.broken == []
    return told


@pytest.mark.parametrize("strategy", [StrategyName.IN_PLACE, StrategyName.REBUILD])
def test_a_service_that_stays_in_error_and_is_waived(tmp_path: Path, strategy: StrategyName) -> None:
    told = story(drive_with(tmp_path, WAIVED, strategy=strategy))
    assert told.codes == [0], told
    assert told.well


def test_unwaived_it_blocks_and_names_the_vendors_cure(tmp_path: Path) -> None:
    result = check.check(drive_with(tmp_path, Options()).setup())
    found = [f for f in result.findings if f.check == "services_started" and f.stops]
    assert found
    assert all("ksctl products disable --name csm" in f.remedy for f in found)


def test_another_service_in_error_after_the_reboot_is_not_waived(tmp_path: Path) -> None:
    broken = Fault("services_after_reboot", node="ctm-1", params={"state": "error", "names": ["web"]})
    told = story(drive_with(tmp_path, WAIVED, broken))
    assert told.codes[0] != 0, "only what was in error when the plan was made is borne"
    assert any("web error" in error for _, error, _ in told.said), told.said
