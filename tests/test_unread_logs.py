"""An upgrade log that only root may read: it may hold a success line, a failure or nothing, and is never taken for none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ctmupgrade.collect.upgrade_logs import dated_logs, running_upgrades
from ctmupgrade.commands import check
from ctmupgrade.core.checks.findings import Finding, Verdict
from ctmupgrade.core.looks.upgrade_log import LogVerdict, UpgradeLog, began_at
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.recovery import health, nodes
from ctmupgrade.core.recovery.result import Part
from ctmupgrade.core.run import journal
from ctmupgrade.core.ticks import Tick
from ctmupgrade.sim import Fault, World
from ctmupgrade.sim.fleet import SimFleet
from ctmupgrade.sim.state import HOME, File
from tests.support import recovery_facts as make
from tests.support.fault_cases import NODE, SETTINGS, TIMES
from tests.support.fault_run import broken_promises, story_of
from tests.support.world_run import Drive, Killed, dies_at, make_world, versions

NO_PROCESSES = ["ps", "pgrep", "sh"]
NO_FILE_TIMES = ["stat", "ls --time-style=+%s"]  # as busybox's ls
NO_TIMES = [*NO_FILE_TIMES, "uptime", "who"]
BEFORE, SINCE = -2e6, -60.0  # the simulated nodes are up for 1,000,000 s
OLD = "ks_upgrade_2025-12-18-094000.log"  # named at BEFORE
NEW = "ks_upgrade_2026-01-10-205900.log"


def drive_of(folder: Path, missing: list[str] | None = None, **upgrade: Any) -> Drive:
    traits = {
        "upgrade": {"log_of_root": True, **upgrade},
        "times": TIMES,
        "shell": {"missing": missing or []},
    }
    world = make_world(2, defaults=traits, archive={"size": 200_000, "generated": True})
    return Drive(world, folder, settings=SETTINGS)


def leave_log(world: World, name: str, written: float, node: str = NODE) -> None:
    """Somebody's upgrade left a log there."""
    data = b"Upgrade to 2.21.0+15451 succeeded\n"
    log = File(len(data), data=data, mtime=written, mode="600", owner="root")
    one = world.nodes[node]
    one.files = {**one.files, f"{HOME}/{name}": log}


def findings(drive: Drive) -> list[Finding]:
    return [f for f in check.check(drive.setup()).findings if f.stops]


def starts(drive: Drive, node: str = NODE) -> int:
    return len(drive.world.of_kind("upgrade_started", node))


@pytest.mark.parametrize("missing", [[], ["stat"], NO_PROCESSES, [*NO_PROCESSES, "stat"]], ids=" ".join)
@pytest.mark.parametrize("mode", ["screen", "foreground"])
def test_the_terminal_tells_of_a_success(mode: str, missing: list[str], tmp_path: Path) -> None:
    """And the log's time, or its name's, that it is of the boot before: no gate waits for it, and nothing asks."""
    drive = drive_of(tmp_path, missing, tty_mode=mode)
    assert drive.start() == 0, drive.stuck
    assert broken_promises(drive) == [] and set(versions(drive.world)) == {"2.21.0"}
    assert findings(drive_again(drive)) == []


def drive_again(drive: Drive) -> Drive:
    """What another machine finds there afterwards: no journal tells it anything."""
    return Drive(drive.world, drive.folder / "elsewhere", settings=SETTINGS)


@pytest.mark.parametrize("missing", [[], NO_PROCESSES])
def test_in_the_background_a_person_decides_and_nothing_is_started_twice(
    missing: list[str], tmp_path: Path
) -> None:
    drive = drive_of(tmp_path, missing, tty_mode="background")
    story = story_of(drive)
    assert story.broken == [] and story.codes[0] == 6 and story.well
    assert starts(drive) == starts(drive, "ctm-1") == 1


@pytest.mark.parametrize("step", ["upgrade", "reboot", "await", "settle"])
@pytest.mark.parametrize("kind", [journal.StepStarted, journal.StepDone])
def test_a_process_that_dies_anywhere_starts_nothing_twice(
    step: str, kind: type[journal.StepStarted | journal.StepDone], tmp_path: Path
) -> None:
    drive = drive_of(tmp_path)
    drive.hook = dies_at(f"{step}:{NODE}", kind)
    with pytest.raises(Killed):
        drive.start()
    drive.hook = lambda *_: None
    story = story_of_the_rest(drive)
    assert story == [0] or (step == "upgrade" and story == [6, 0]), drive.stuck
    assert starts(drive) == 1 and broken_promises(drive) == []


def story_of_the_rest(drive: Drive) -> list[int]:
    codes = [drive.resume()]
    if codes[0]:
        [(step, held)] = drive.stuck
        assert step == f"upgrade:{NODE}" and "node done" in held.remedy
        assert "its log cannot be read" in held.error and "on the node's console" in held.remedy
        drive.decide(NODE, "done" if drive.world.nodes[NODE].pending else "retry")
        codes.append(drive.resume())
    return codes


@pytest.mark.parametrize("dies_after", [0.0, 20.0, 400.0])
def test_a_start_whose_end_nobody_saw_is_no_start_that_never_was(dies_after: float, tmp_path: Path) -> None:
    """The process dies with the script's terminal: neither its output nor a log tells how it ended."""
    drive = drive_of(tmp_path)
    began = {"at": -1.0}

    def hook(_step: str, _event: journal.Event | None, _tick: Tick | None) -> None:
        if starts(drive) and began["at"] < 0:
            began["at"] = drive.world.now
        if began["at"] >= 0 and drive.world.now >= began["at"] + min(dies_after, 200.0):
            raise Killed

    drive.hook = hook
    with pytest.raises(Killed):
        drive.start()
    drive.hook = lambda *_: None
    drive.world.clock.advance(dies_after)
    codes = story_of_the_rest(drive)
    assert codes == [6, 0] and starts(drive) == 1, "its end was not seen: a person says what it was"
    assert broken_promises(drive) == [] and set(versions(drive.world)) == {"2.21.0"}


@pytest.mark.parametrize(
    ("name", "written", "missing", "stops"),
    [
        (OLD, BEFORE, [], False),
        (NEW, SINCE, [], True),
        (OLD, BEFORE, ["stat"], False),  # by `ls`
        (NEW, SINCE, ["stat"], True),
        (OLD, SINCE, ["stat"], True),
        (OLD, BEFORE, NO_FILE_TIMES, False),  # by the name and the local time of boot
        (NEW, SINCE, NO_FILE_TIMES, True),
        (OLD, BEFORE, NO_TIMES, True),
        (OLD, SINCE, [], True),  # it was written to for longer
        ("ks_upgrade_x.log", BEFORE, NO_FILE_TIMES, True),
        ("ks_upgrade_2026-99-99-999999.log", BEFORE, NO_FILE_TIMES, True),
    ],
)
def test_a_log_that_may_be_of_this_boot_stops_a_run(
    name: str, written: float, missing: list[str], stops: bool, tmp_path: Path
) -> None:
    drive = drive_of(tmp_path, missing)
    leave_log(drive.world, name, written)
    found = findings(drive)
    assert [(f.check, f.node, f.verdict) for f in found] == (
        [("no_reboot_pending", NODE, Verdict.UNKNOWN)] if stops else []
    )
    if stops:
        assert (
            name in found[0].summary
            and "Permission denied" in found[0].summary
            and "do not reboot it" in found[0].remedy
        )


def test_an_upgrade_that_somebody_made_by_hand_is_not_passed_over(tmp_path: Path) -> None:
    drive = drive_of(tmp_path)
    archive = drive.world.archive
    node = drive.world.nodes[NODE]
    node.files = {**node.files, f"{HOME}/{archive.name}": File(archive.size, "archive")}
    SimFleet(drive.world).shell(NODE).terminal(
        "sudo", "-n", "/opt/keysecure/ks_upgrade.sh", "-f", archive.name
    )
    drive.world.clock.advance(600.0)
    assert ("no_reboot_pending", NODE) in {(f.check, f.node) for f in findings(drive)}
    assert node.pending


def test_an_upgrade_that_took_no_effect_does_not_wait_for_a_reboot(tmp_path: Path) -> None:
    """It succeeded, the node was booted since, and is on the old version: another reboot changes nothing."""
    drive = drive_of(tmp_path)
    leave_log(drive.world, OLD, BEFORE)
    node = drive.world.nodes[NODE]
    node.files = {name: replace(file, mode="644") for name, file in node.files.items()}
    (found,) = [f for f in findings(drive) if f.check == "no_reboot_pending"]
    assert found.verdict is Verdict.BLOCK
    assert "took no effect" in found.summary and "waits" not in found.summary
    assert "recover" not in found.remedy and "old-logs" in found.remedy


@pytest.mark.parametrize(("name", "written", "told"), [(OLD, BEFORE, True), (NEW, SINCE, False)])
def test_without_a_process_list_a_log_of_this_boot_may_be_written_to(
    name: str, written: float, told: bool, tmp_path: Path
) -> None:
    drive = drive_of(tmp_path, NO_PROCESSES)
    leave_log(drive.world, name, written)
    assert (running_upgrades(SimFleet(drive.world).shell(NODE)) == ()) is told
    assert ("no_upgrade_running" in {f.check for f in findings(drive)}) is not told


@pytest.mark.parametrize("last", ["Installing\n", "Upgrade failed\n"])
@pytest.mark.parametrize("folder", [HOME, "/opt/elsewhere"])
@pytest.mark.parametrize(("written", "told"), [(BEFORE, True), (SINCE, False)])
def test_without_a_process_list_no_script_outlives_a_boot(
    written: float, told: bool, folder: str, last: str, tmp_path: Path
) -> None:
    """Whatever its log says: one that ended without its success line held up the end of every run for good."""
    drive = drive_of(tmp_path, NO_PROCESSES)
    node, data = drive.world.nodes[NODE], last.encode()
    node.files = {**node.files, f"{folder}/{OLD}": File(len(data), data=data, mtime=written)}
    assert (running_upgrades(SimFleet(drive.world).shell(NODE)) == ()) is told


def test_a_log_that_lacks_its_last_lines_ends_a_run_all_the_same(tmp_path: Path) -> None:
    """Its node was rebooted since, on a person's word: the proof at the end waited, and failed at each resume."""
    world = make_world(1, clustered=False, nodes=[{"name": "ctm-1", "shell": {"missing": NO_PROCESSES}}])
    world.inject(Fault("log_truncated", "ctm-1"))
    drive = Drive(world, tmp_path, StrategyName.STANDALONE)
    assert drive.start() == 6
    drive.decide("ctm-1", "done")
    assert drive.resume() == 0, drive.state.paused
    assert versions(world) == ["2.21.0"]


@pytest.mark.parametrize(
    ("last", "told"), [("Installing\n", False), ("Upgrade to 2.21.0+15451 succeeded\n", True)]
)
def test_without_a_process_list_a_log_in_another_folder_is_looked_for(
    last: str, told: bool, tmp_path: Path
) -> None:
    drive = drive_of(tmp_path, NO_PROCESSES)
    node, data = drive.world.nodes[NODE], last.encode()
    node.files = {**node.files, f"/opt/elsewhere/{NEW}": File(len(data), data=data, mtime=SINCE)}
    assert (running_upgrades(SimFleet(drive.world).shell(NODE)) == ()) is told


def test_one_that_came_after_the_checks_stops_its_node(tmp_path: Path) -> None:
    drive = drive_of(tmp_path)
    plan = drive.plan()
    leave_log(drive.world, NEW, SINCE)
    assert drive.start(plan) == 6
    [(step, held)] = drive.stuck
    assert step == f"upgrade:{NODE}" and "Permission denied" in held.error and "node done" in held.remedy
    assert starts(drive) == 0


def test_a_doubted_success_that_came_after_the_checks_stops_its_node_too(tmp_path: Path) -> None:
    drive = drive_of(tmp_path)
    plan, node = drive.plan(), drive.world.nodes[NODE]
    data = b"Upgrade to 2.21.0+15451 succeeded\nERROR: the old database is put back\n"
    node.files = {**node.files, f"{HOME}/{NEW}": File(len(data), data=data, mtime=SINCE)}
    assert drive.start(plan) == 6
    [(step, held)] = drive.stuck
    assert step == f"upgrade:{NODE}" and "may have succeeded and waits for its reboot" in held.error
    assert starts(drive) == 0


def test_a_log_beyond_reach_is_not_asked_for_as_one_that_cannot_be_read(tmp_path: Path) -> None:
    drive = drive_of(tmp_path)
    leave_log(drive.world, NEW, SINCE)
    logs = dated_logs(SimFleet(drive.world).shell(NODE))
    assert isinstance(logs, tuple) and logs[0].verdict is LogVerdict.UNREAD and logs[0].undecided
    assert not replace(logs[0], in_this_boot=False).undecided
    assert not replace(logs[0], verdict=LogVerdict.NONE).undecided


def test_recover_says_that_it_is_not_known() -> None:
    unread = UpgradeLog(NEW, 0, LogVerdict.UNREAD, why="tail: Permission denied")
    seen = make.with_node(make.healthy(), replace(make.healthy().nodes[NODE], logs=(unread,)))
    scene = make.scene(seen)
    assert nodes.unfinished_upgrades(scene) == Part(), "neither failed nor waiting"
    [text] = [t.text for t in health.unhealthy(scene, Part()).wrong]
    assert "whether an upgrade of it failed or waits for its reboot is not known" in text and NEW in text
    old = make.with_node(seen, replace(seen.nodes[NODE], logs=(replace(unread, in_this_boot=False),)))
    assert not health.unhealthy(make.scene(old), Part()).wrong


def test_the_time_in_a_name_is_read_as_the_boots_is() -> None:
    assert began_at("/root/ks_upgrade_1970-01-01-000001.log") == 1.0
    assert began_at("ks_upgrade.log") is began_at("ks_upgrade_1970-13-01-000001.log") is None
