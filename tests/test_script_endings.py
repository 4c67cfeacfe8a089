"""How ``ks_upgrade.sh`` ends besides well and badly: told both, or never begun. In the simulator."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ctmupgrade.actions.script_log import question_on
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.run import journal
from ctmupgrade.core.ticks import Tick
from ctmupgrade.errors import ConnectionLostError
from ctmupgrade.sim.faults import Fault
from ctmupgrade.sim.fleet import SimFleet
from ctmupgrade.sim.state import File
from tests.support.world_run import Drive, at_step, make_world

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
    assert not drive.world.of_kind("rebooted")


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
    assert not drive.world.of_kind("rebooted")


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
    assert not drive.world.of_kind("rebooted")


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
