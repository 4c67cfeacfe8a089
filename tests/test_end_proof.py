"""The end of a run: what was proven of a node an hour ago is looked at again, of all nodes, before a run ends with 0.

Each was found by readers who changed the world while the last node was at work.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from ctmupgrade.core.model import Options
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.run import journal
from ctmupgrade.core.run.journal import Event, Status
from ctmupgrade.core.run.report import make_report
from ctmupgrade.core.ticks import Tick
from ctmupgrade.sim import Fault, World
from tests.support.golden import call
from tests.support.world_run import Drive, Hook, make_world, mend, write_fixture

REBUILD = Options(survivor="ctm-1")
OLD = "2.20.0+15016"


def _when(step: str, deed: Callable[[], None]) -> Hook:
    """Do something once, when a step has been journaled as begun."""
    left = [deed]

    def hook(key: str, event: Event | None, _tick: Tick | None) -> None:
        if left and key == step and isinstance(event, journal.StepStarted):
            left.pop()()

    return hook


def _snapshot(world: World, name: str) -> None:
    """Somebody puts a node back to how it was before its upgrade."""
    node = world.nodes[name]
    node.version, node.boot, node.upgrades, node.pending = OLD, node.boot + 1, [], ""
    world.touch()


def _drive(folder: Path, strategy: StrategyName, count: int = 3) -> Drive:
    world = make_world(count, clustered=strategy is not StrategyName.STANDALONE)
    return Drive(world, folder, strategy, REBUILD if strategy is StrategyName.REBUILD else Options())


@pytest.mark.parametrize("strategy", [StrategyName.IN_PLACE, StrategyName.STANDALONE])
def test_a_node_that_went_back_meanwhile_is_seen(tmp_path: Path, strategy: StrategyName) -> None:
    count = 1 if strategy is StrategyName.STANDALONE else 2
    last = f"ctm-{count}"
    drive = _drive(tmp_path, strategy, count)
    step = f"compare-settings:{last}"
    drive.hook = _when(step, lambda: _snapshot(drive.world, "ctm-1"))
    assert drive.start() == 5
    ((failed, held),) = drive.stuck
    assert failed == "settle:ctm-1" and drive.state.name == "failed"
    assert "at the end not all is well: ctm-1" in held.error and OLD in held.error
    assert "ctmupgrade abort" in held.remedy and "resume" not in held.remedy
    assert drive.resume() == 5, "nothing has changed"
    drive.world.nodes["ctm-1"].version = "2.21.0+15451"
    drive.world.touch()
    assert drive.resume() == 0


FAULTS = {
    "removed": Fault("remove_member", "ctm-2", times=1),
    "broken": Fault("broken", "ctm-2"),
    "away": Fault("unreachable", "ctm-2"),
    "services": Fault("services", "ctm-2"),
    "down": Fault("member_code", "ctm-2", params={"code": "d"}),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_rebuild_ends_with_0_only_where_all_are_members_and_well(tmp_path: Path, kind: str) -> None:
    drive = _drive(tmp_path, StrategyName.REBUILD)
    drive.hook = _when("join:ctm-3", lambda: drive.world.inject(FAULTS[kind]))
    code = drive.start()
    assert code in (4, 5), (code, drive.state.paused)
    ((step, held),) = drive.stuck
    assert step.startswith("await:ctm-") and "ctm-2" in held.error
    mend(drive.world)
    assert drive.resume() == 0


def test_a_pause_at_the_very_end_needs_no_second_process(tmp_path: Path) -> None:
    drive = _drive(tmp_path, StrategyName.IN_PLACE, 2)
    asked = [journal.StopAsked("pause", "me")]
    drive.requests = lambda: [asked.pop()] if asked and _is_over(drive) else []
    assert drive.start() == 0


def test_a_pause_ends_the_wait_for_a_node_that_is_not_well(tmp_path: Path) -> None:
    drive = _drive(tmp_path, StrategyName.IN_PLACE, 2)
    drive.hook = _when("compare-settings:ctm-2", lambda: _snapshot(drive.world, "ctm-1"))
    begun = drive.world.now
    asked = [journal.StopAsked("pause", "me")]
    drive.requests = lambda: [asked.pop()] if asked and _is_over(drive) else []
    assert drive.start() == 7
    assert drive.state.name == "paused" and drive.state.unfinished
    assert drive.world.now > begun


def _is_over(drive: Drive) -> bool:
    return all(held.status is Status.DONE for held in drive.state.steps.values())


def test_what_passes_by_itself_is_waited_for(tmp_path: Path) -> None:
    drive = _drive(tmp_path, StrategyName.REBUILD)
    fault = Fault("services", "ctm-2", for_s=300)
    drive.hook = _when("compare-settings:ctm-3", lambda: drive.world.inject(fault))
    assert drive.start() == 0


def test_the_words_tell_the_way_on(tmp_path: Path) -> None:
    """As a person sees it: the command's last lines, and what `status` says afterwards."""
    faults = [{"kind": "broken", "node": "ctm-2", "when": "join_started:ctm-3 + 600s"}]
    place = (
        "--simulate",
        str(write_fixture(tmp_path, "rebuild", [{"name": f"ctm-{i}"} for i in (1, 2, 3)], faults=faults)),
    )
    words = (*place, "--state-dir", str(tmp_path / "state"))
    code, said = call("run", "--yes", "--survivor", "ctm-1", *words)
    assert code in (4, 5), said
    assert "ctmupgrade recover" in said and "resume" in said
    assert f"--state-dir {tmp_path / 'state'}" in said.rpartition("ctmupgrade recover")[2].splitlines()[0]
    code, said = call("status", *words)
    assert "failed" in said and "2 of 3 nodes in service" in said and "ctm-2" in said
    assert "at the end not all is well" in said, said


def test_a_gate_that_no_waiting_opens_says_so(tmp_path: Path) -> None:
    """A node that somebody put back, or upgraded by hand: each resume would fail like the last one."""
    for version, node in ((OLD, "ctm-1"), ("2.21.0+15451", "ctm-2")):
        drive = _drive(tmp_path / node, StrategyName.IN_PLACE, 2)
        world = drive.world
        drive.hook = _when("compare-settings:ctm-1", partial(_set_version, world, node, version))
        assert drive.start() == 5
        ((step, held),) = drive.stuck
        assert step == "gate:ctm-2" and node in held.error
        assert "ctmupgrade abort" in held.remedy and "ctmupgrade run" in held.remedy
        assert "resume" not in held.remedy


def _set_version(world: World, name: str, version: str) -> None:
    world.nodes[name].version = version
    world.touch()


@pytest.mark.parametrize(
    ("meanwhile", "stops"),
    [("compare-settings:ctm-2", "settle:ctm-1"), ("compare-settings:ctm-1", "gate:ctm-2")],
    ids=["the end", "a gate"],
)
def test_what_an_operator_decided_before_opens_nothing(tmp_path: Path, meanwhile: str, stops: str) -> None:
    """Either release may be right while an attempt is under way; once a look has seen the target's, only that one is."""
    drive = _drive(tmp_path, StrategyName.IN_PLACE, 2)
    drive.world.inject(Fault("upgrade_fails", "ctm-1"))
    assert drive.start() == 5
    mend(drive.world)
    drive.decide("ctm-1", "retry")
    drive.hook = _when(meanwhile, lambda: _snapshot(drive.world, "ctm-1"))
    assert drive.resume() == 5
    assert drive.stuck[0][0] == stops


def test_no_half_hour_is_waited_for_a_version_that_stays(tmp_path: Path) -> None:
    drive = _drive(tmp_path, StrategyName.IN_PLACE, 2)
    began: list[float] = []

    def back() -> None:
        _snapshot(drive.world, "ctm-1")
        began.append(drive.world.now)

    drive.hook = _when("compare-settings:ctm-2", back)
    assert drive.start() == 5
    assert drive.world.now - began[0] < 300


def test_a_node_that_was_left_out_may_be_upgraded_meanwhile(tmp_path: Path) -> None:
    world = make_world(3)
    drive = Drive(world, tmp_path, options=Options(nodes=("ctm-1", "ctm-2")))
    drive.hook = _when("compare-settings:ctm-2", partial(_set_version, world, "ctm-3", "2.21.0+15451"))
    assert drive.start() == 0


def test_the_report_is_of_the_moment_at_which_all_was_well(tmp_path: Path) -> None:
    drive = _drive(tmp_path, StrategyName.REBUILD)
    place = Fault("services", "ctm-2", for_s=300)
    drive.hook = _when("compare-settings:ctm-3", lambda: drive.world.inject(place))
    assert drive.start() == 0
    assert not [f for f in make_report(drive.state).findings if f.check == "services"]
