"""Which version a node is said to have: the last one that a look saw, or none that is known. Never the one from before."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctmupgrade.core.overview.health import health_of
from ctmupgrade.core.run import journal
from ctmupgrade.core.run.journal import Event
from ctmupgrade.core.run.remaining import versions
from ctmupgrade.core.run.report import make_report
from ctmupgrade.core.ticks import Tick
from ctmupgrade.render.plain import node_line, report_lines
from ctmupgrade.sim import Fault
from tests.support import golden
from tests.support.fault_cases import SETTINGS, TIMES
from tests.support.world_run import Drive, Killed, at_step, dies_at, make_world, mend

OLD, NEW = "2.20.0+15016", "2.21.0+15451"


def drive_of(folder: Path) -> Drive:
    return Drive(make_world(3, defaults={"times": TIMES}), folder, settings=SETTINGS)


def nodes_on(drive: Drive) -> dict[str, tuple[str, ...]]:
    return dict(health_of(drive.state).versions)


def line_of(drive: Drive, name: str) -> str:
    return next(node_line(node, 5) for node in make_report(drive.state).nodes if node.name == name)


def test_a_node_that_answers_and_is_not_well_has_the_version_that_it_says(tmp_path: Path) -> None:
    drive = drive_of(tmp_path)
    broken = Fault("services", "ctm-1", params={"state": "error", "names": ["web"]})
    drive.hook = at_step(drive.world, "await:ctm-1", broken)
    assert drive.start() == 5
    assert nodes_on(drive) == {NEW: ("ctm-1",), OLD: ("ctm-2", "ctm-3")}
    assert f"{OLD} -> {NEW}  failed" in line_of(drive, "ctm-1")
    assert f"ctm-1 is on {NEW}" in versions(drive.state)


def test_a_node_that_no_look_has_seen_since_its_upgrade_has_none_that_is_known(tmp_path: Path) -> None:
    drive = drive_of(tmp_path)
    drive.hook = at_step(drive.world, "reboot:ctm-1", Fault("reboot_never_ends", "ctm-1"))
    assert drive.start() == 4
    assert nodes_on(drive) == {"": ("ctm-1",), OLD: ("ctm-2", "ctm-3")}
    assert "not seen yet" in line_of(drive, "ctm-1")
    assert "ctm-1 is on a version that was not seen since the upgrade began" in versions(drive.state)


@pytest.mark.parametrize("said", [False, True])
def test_a_version_that_was_proven_is_not_forgotten_where_the_last_proof_fails(
    tmp_path: Path, said: bool
) -> None:
    """:param said: that the node came back is a person's word, so that only the settling, which is opened again, has proven it."""
    drive = drive_of(tmp_path)
    if said:
        drive.hook = at_step(drive.world, "await:ctm-1", Fault("services", "ctm-1"))
        assert drive.start() == 5
        mend(drive.world)
        drive.decide("ctm-1", "done")

    def away(step: str, event: Event | None, _tick: Tick | None) -> None:
        if step == "settle:ctm-3" and isinstance(event, journal.StepDone):
            drive.world.inject(Fault("unreachable", "ctm-1"))

    drive.hook = away
    assert (drive.resume() if said else drive.start()) == 4
    assert [step for step, _ in drive.stuck] == ["settle:ctm-1"]
    assert nodes_on(drive) == {NEW: ("ctm-1", "ctm-2", "ctm-3")}
    assert f"-> {NEW}" in line_of(drive, "ctm-1")
    assert not any(OLD in line and "->" not in line for line in report_lines(make_report(drive.state)))
    mend(drive.world)
    drive.hook = lambda _step, _event, _tick: None
    assert drive.resume() == 0 and nodes_on(drive) == {NEW: ("ctm-1", "ctm-2", "ctm-3")}


def test_what_the_last_proof_saw_itself_counts(tmp_path: Path) -> None:
    """Somebody put a node back to a snapshot: what was proven of it an hour ago is not what it is on."""
    drive = drive_of(tmp_path)

    def back(step: str, event: Event | None, _tick: Tick | None) -> None:
        if step == "settle:ctm-3" and isinstance(event, journal.StepDone):
            node = drive.world.nodes["ctm-1"]
            node.version, node.boot, node.upgrades, node.pending = OLD, node.boot + 1, [], ""
            drive.world.touch()

    drive.hook = back
    assert drive.start() == 5
    assert nodes_on(drive) == {OLD: ("ctm-1",), NEW: ("ctm-2", "ctm-3")}


def test_what_looks_have_seen_since_counts_against_a_bad_one(tmp_path: Path) -> None:
    """A settling node says the old version once, then the new one again, and goes away."""
    drive = drive_of(tmp_path)
    node, ticks = drive.world.nodes["ctm-1"], [0]

    def flaps(step: str, event: Event | None, tick: Tick | None) -> None:
        if step == "settle:ctm-1" and isinstance(event, journal.StepStarted):
            node.version = OLD
            drive.world.touch()
        elif step == "settle:ctm-1" and event is None and tick is not None:
            ticks[0] += 1
            node.version = NEW
            drive.world.touch()
            if ticks[0] == 2:  # a good look was made
                drive.world.inject(Fault("unreachable", "ctm-1"))

    drive.hook = flaps
    assert drive.start() == 4
    assert [step for step, _ in drive.stuck] == ["settle:ctm-1"]
    assert nodes_on(drive) == {NEW: ("ctm-1",), OLD: ("ctm-2", "ctm-3")}


def test_a_word_about_a_script_that_nobody_has_followed_is_no_look(tmp_path: Path) -> None:
    """The run dies when the script has begun, and a person says at once that it is done."""
    drive = drive_of(tmp_path)
    drive.hook = dies_at("upgrade:ctm-1")
    with pytest.raises(Killed):
        drive.start()
    assert nodes_on(drive) == {OLD: ("ctm-1", "ctm-2", "ctm-3")}
    drive.decide("ctm-1", "done")
    assert nodes_on(drive) == {"": ("ctm-1",), OLD: ("ctm-2", "ctm-3")}


def test_a_word_that_the_upgrade_was_done_is_no_look(tmp_path: Path) -> None:
    drive = drive_of(tmp_path)
    drive.hook = at_step(drive.world, "upgrade:ctm-1", Fault("upgrade_no_verdict", "ctm-1"))
    code = drive.start()
    assert code == 6 and nodes_on(drive)[""] == ("ctm-1",)
    drive.decide("ctm-1", "done")
    assert nodes_on(drive) == {"": ("ctm-1",), OLD: ("ctm-2", "ctm-3")}
    assert drive.resume() == 5, "the script had not done it"
    assert nodes_on(drive) == {OLD: ("ctm-1", "ctm-2", "ctm-3")} and f"-> {OLD}" in line_of(drive, "ctm-1")


def test_a_script_that_failed_leaves_the_version_from_before(tmp_path: Path) -> None:
    drive = drive_of(tmp_path)
    drive.hook = at_step(drive.world, "upgrade:ctm-1", Fault("upgrade_fails", "ctm-1"))
    assert drive.start() == 5
    assert nodes_on(drive) == {OLD: ("ctm-1", "ctm-2", "ctm-3")}
    assert "not seen yet" in line_of(drive, "ctm-1")


@pytest.mark.parametrize("fault", ["upgrade_hangs", "upgrade_no_verdict"])
def test_a_retry_makes_no_old_version_a_seen_one(fault: str, tmp_path: Path) -> None:
    place = ["--simulate", str(golden.SCENARIOS / "healthy-three"), "--state-dir", str(tmp_path)]
    golden.call("run", "--yes", "--fault", f"{fault}@upgrade:ctm-2", *place)
    run = next(tmp_path.glob("*/*/journal.jsonl")).parent.name
    assert golden.call("node", "retry", run, "ctm-2", "--reason", "x", "--yes", *place)[0] == 0
    for words in (["status", run], ["abort", run, "--yes"]):
        said = golden.call(*words, *place)[1]
        assert "ctm-2  2.20.0+15016 -> 2.20.0" not in said and "ctm-2, ctm-3 are on" not in said
