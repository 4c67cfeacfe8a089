"""How ``ks_upgrade.sh`` ends besides well and badly: told both, or never begun. In the simulator."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ctmupgrade.actions.script_log import question_on
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.run import journal
from ctmupgrade.core.run.note_codes import NoteCode
from ctmupgrade.core.ticks import Tick
from ctmupgrade.errors import ConnectionLostError
from ctmupgrade.sim.faults import Fault
from ctmupgrade.sim.fleet import SimFleet
from ctmupgrade.sim.state import File
from tests.support.world_run import Drive, Killed, at_step, make_world

BOTH = "Upgrade to 2.21.0+15451 succeeded\nERROR: the old database is put back"


def alone(folder: Path, **world: Any) -> Drive:
    """An upgrade of one node that is in no cluster."""
    return Drive(make_world(1, **world), folder, StrategyName.STANDALONE)


def test_a_failure_after_the_success_line_is_no_success(tmp_path: Path) -> None:
    fault = {"kind": "upgrade_fails", "node": "ctm-1", "at": "middle", "text": BOTH}
    drive = alone(tmp_path, faults=[fault])
    assert drive.start() == 6
    [(step, held)] = drive.stuck
    assert step == "upgrade:ctm-1" and "the old database is put back" in held.error
    assert "do not reboot ctm-1" in held.remedy and "node done" in held.remedy
    assert not drive.world.of_kind("booted")


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_script_that_fails_after_its_step_was_done_is_not_rebooted(tmp_path: Path, by_hand: bool) -> None:
    """It writes its success line, works on, and fails before the reboot; a person may reboot it all the same."""
    drive = alone(tmp_path)
    node = drive.world.nodes["ctm-1"]

    def fails(step: str, event: journal.Event | None, _tick: Tick | None) -> None:
        if step == "upgrade:ctm-1" and isinstance(event, journal.StepDone):
            path = next(name for name in node.files if "ks_upgrade_" in name)
            text = f"{BOTH}\n".encode()
            node.files = {**node.files, path: File(len(text), data=text)}
            if by_hand:
                with suppress(ConnectionLostError):
                    SimFleet(drive.world).shell("ctm-1").change("sudo", "-n", "reboot")
                drive.world.clock.advance(600.0)

    drive.hook = fails
    if by_hand:
        assert drive.start() == 0
        return
    assert drive.start() == 6
    [(step, held)] = drive.stuck
    assert step == "reboot:ctm-1" and "the old database is put back" in held.error
    assert not drive.world.of_kind("booted")


TIDY = "Upgrade to 2.21.0+15451 succeeded\nReboot the instance to finish the upgrade\nERROR: cleanup of old images failed, ignored"
MORE = "ERROR: the old database is put back"


def doubted(folder: Path) -> Drive:
    """A run that stopped, and for which a person says that the upgrade is done all the same. The node waits for its reboot."""
    drive = alone(folder, faults=[{"kind": "upgrade_fails", "node": "ctm-1", "at": "middle", "text": TIDY}])
    dies_while_it_runs(drive)
    assert drive.resume() == 6
    [(step, held)] = drive.stuck
    assert step == "upgrade:ctm-1" and "cleanup of old images failed" in held.error
    node = drive.world.nodes["ctm-1"]
    node.pending = drive.world.archive.version
    drive.decide("ctm-1", "done")
    return drive


def dies_while_it_runs(drive: Drive) -> None:
    """``kill -9`` once the script was seen in the process list."""

    def dies(step: str, event: journal.Event | None, _tick: Tick | None) -> None:
        runs = isinstance(event, journal.StepNoted) and event.code is NoteCode.SCRIPT_RUNS
        if step == "upgrade:ctm-1" and runs:
            raise Killed

    drive.hook = dies
    with pytest.raises(Killed):
        drive.start()
    drive.hook = lambda _step, _event, _tick: None


def write(drive: Drive, name: str, text: str) -> None:
    node = drive.world.nodes["ctm-1"]
    data = text.encode()
    node.files = {**node.files, name: File(len(data), data=data, mtime=drive.world.now)}
    drive.world.touch()


def log_of(drive: Drive) -> str:
    return next(name for name in drive.world.nodes["ctm-1"].files if "ks_upgrade_" in name)


def text_of(drive: Drive) -> str:
    return SimFleet(drive.world).shell("ctm-1").read("cat", log_of(drive)).out


def test_a_person_who_has_judged_a_doubted_log_is_believed(tmp_path: Path) -> None:
    drive = doubted(tmp_path)
    assert drive.resume() == 0, drive.stuck
    assert drive.world.of_kind("booted")


def test_a_person_is_told_why_a_log_is_doubted(tmp_path: Path) -> None:
    """Its last words may be those of every good run, which would lead a person to say that it is done."""
    text = f"Upgrade to 2.21.0+15451 succeeded\n{MORE}\nReboot the instance to finish the upgrade"
    drive = alone(tmp_path, faults=[{"kind": "upgrade_fails", "node": "ctm-1", "at": "middle", "text": text}])
    dies_while_it_runs(drive)
    assert drive.resume() == 6
    [(_, held)] = drive.stuck
    assert MORE in held.error, held.error


@pytest.mark.parametrize("change", ["more words", "the same words again", "a new log"])
def test_another_log_than_the_one_that_was_judged_is_a_new_question(tmp_path: Path, change: str) -> None:
    drive = doubted(tmp_path)
    path = log_of(drive)
    told = text_of(drive)
    drive.world.clock.advance(60.0)
    match change:
        case "more words":
            write(drive, path, f"{told}{MORE}\n")
        case "the same words again":
            write(drive, path, told)
        case _:
            write(drive, path.replace("ks_upgrade_2", "ks_upgrade_9"), told)
    assert drive.resume() == 6
    [(step, held)] = drive.stuck
    assert step == "reboot:ctm-1" and "not rebooted" in held.error
    assert not drive.world.of_kind("booted")


def test_a_decision_before_anybody_saw_the_log_judges_nothing(tmp_path: Path) -> None:
    """The run died; a person says that it is done; only then does a look find the words of a failure."""
    drive = alone(tmp_path, faults=[{"kind": "upgrade_fails", "node": "ctm-1", "at": "middle", "text": TIDY}])
    dies_while_it_runs(drive)
    drive.decide("ctm-1", "done")
    drive.world.clock.advance(3600.0)
    assert drive.resume() == 6
    assert [step for step, _ in drive.stuck] == ["reboot:ctm-1"] and not drive.world.of_kind("booted")


def test_a_doubted_log_that_grows_again_holds_the_reboot_up(tmp_path: Path) -> None:
    drive = doubted(tmp_path)
    path = log_of(drive)
    told = text_of(drive)
    lines = [0]

    def grows(step: str, event: journal.Event | None, tick: Tick | None) -> None:
        if step == "reboot:ctm-1" and event is None and tick is not None and lines[0] < 20:
            lines[0] += 1
            write(drive, path, told + "still cleaning\n" * lines[0])

    drive.hook = grows
    assert drive.resume() == 6
    assert lines[0] == 20 and not drive.world.of_kind("booted")


def test_a_script_that_sudo_does_not_start_did_not_fail(tmp_path: Path) -> None:
    drive = alone(tmp_path)
    drive.hook = at_step(drive.world, "upgrade:ctm-1", Fault("sudo_refused", "ctm-1"))
    assert drive.start() == 5
    [(step, held)] = drive.stuck
    assert step == "upgrade:ctm-1"
    assert "sudo did not start ks_upgrade.sh: sudo: a password is required" in held.error
    assert "nothing was started" in held.remedy and "Read" not in held.remedy


@pytest.mark.parametrize("find", [True, False])
def test_the_success_of_an_earlier_upgrade_is_none_of_this_one(tmp_path: Path, find: bool) -> None:
    """Its log lies where nobody looks at first, and is found when a script that was refused has written none: the node
    would be rebooted for a success of long ago. Where nothing tells at the start which logs were there, none is believed."""
    drive = alone(tmp_path)
    node, missing = drive.world.nodes["ctm-1"], drive.world.nodes["ctm-1"].shell.missing
    text = b"2026-09-02 14:09:43-0700: Upgrade to 2.21.0+15451 succeeded\n"
    old = "/var/spool/keysecure/jobs/ks_upgrade_2026-09-02-142858.log"
    node.files = {**node.files, old: File(len(text), data=text)}
    has = list(missing)

    def refused(step: str, event: journal.Event | None, _tick: Tick | None) -> None:
        if step == "upgrade:ctm-1" and isinstance(event, journal.StepStarted):
            node.shell.missing = has
            drive.world.inject(Fault("sudo_refused", "ctm-1"))

    node.shell.missing = has if find else [*has, "find"]
    drive.hook = refused
    assert drive.start() == 5
    assert [step for step, _ in drive.stuck] == ["upgrade:ctm-1"]
    assert not drive.world.of_kind("booted")


@pytest.mark.parametrize(
    ("said", "asks"),
    [
        ("[sudo] password for ksadmin: ", True), ("Do you want to continue? [y/N] ", True), ("Continue?\n", True),
        ("launching a screen session\n", False), ("Overwrite (yes/no)?", True),
    ],
)  # fmt: skip
def test_a_question_on_the_terminal_is_shown(said: str, asks: bool) -> None:
    text = f"IMPORTANT: Do not restart?\n{said}"
    assert question_on(text) == (said.strip() if asks else "")


def test_a_script_that_waits_for_an_answer_to_the_end_is_not_only_stuck(tmp_path: Path) -> None:
    """Where there is no line of a log, what its terminal asks is all that tells why."""
    asks = {"kind": "upgrade_hangs", "node": "ctm-1", "asks": "Do you want to continue? [y/N] "}
    drive = alone(tmp_path, faults=[{"kind": "log_missing", "node": "ctm-1"}, asks])
    assert drive.start() == 5
    [(_, held)] = drive.stuck
    assert "STUCK" in held.error and "Do you want to continue? [y/N]" in held.error
    assert "do not reboot ctm-1" in held.remedy


def test_nobody_is_sent_to_a_log_that_is_not_there(tmp_path: Path) -> None:
    faults = [
        {"kind": "log_missing", "node": "ctm-1"},
        {"kind": "upgrade_fails", "node": "ctm-1", "at": "once"},
    ]
    drive = alone(tmp_path, faults=faults)
    assert drive.start() in (5, 6)
    [(_, held)] = drive.stuck
    assert "left no log" in held.remedy and "Read" not in held.remedy


def test_a_script_of_which_nothing_is_found_is_not_said_to_have_words(tmp_path: Path) -> None:
    """It was killed while it ran: its terminal is gone, its log is not found. Nobody has seen a word of it."""
    faults = [{"kind": "log_missing", "node": "ctm-1"}, {"kind": "upgrade_no_verdict", "node": "ctm-1"}]
    drive = alone(tmp_path, faults=faults)

    dies_while_it_runs(drive)
    assert drive.resume() == 6
    [(step, held)] = drive.stuck
    assert step == "upgrade:ctm-1"
    assert "no log of it was found" in held.error and "empty" not in held.error
    assert "above" not in held.remedy and "find / -xdev -name 'ks_upgrade_*.log'" in held.remedy
    assert "ksctl system info get" in held.remedy and "do not reboot ctm-1" in held.remedy


def test_an_empty_log_is_called_so(tmp_path: Path) -> None:
    drive = alone(tmp_path, faults=[{"kind": "upgrade_no_verdict", "node": "ctm-1"}])

    dies_while_it_runs(drive)
    drive.world.clock.advance(3600.0)
    write(drive, log_of(drive), "")
    drive.hook = lambda _step, _event, _tick: None
    assert drive.resume() == 6
    [(_, held)] = drive.stuck
    assert "its log is empty" in held.error and "Read " in held.remedy
