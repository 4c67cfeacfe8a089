"""A node is not rebooted while its script may work: what no look has proven is asked of its log (docs/appliance.md 1.2)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ctmupgrade.ports import Reply
from ctmupgrade.sim import SimFleet
from ctmupgrade.sim.shell import SimShell
from tests.support.fault_cases import NODE, TIMES
from tests.test_background_script import HIDDEN, drive_of, given_up, starts

FIRST = "ctm-1"
UNSEEN: dict[str, dict[str, Any]] = {
    "under another name": {},
    "no process list": {"shell": {"missing": ["ps", "pgrep", "sh"]}},
    "no process list and no times": {"shell": {"missing": ["ps", "pgrep", "sh", "stat"]}},
}


@pytest.mark.parametrize("traits", UNSEEN.values(), ids=UNSEEN)
def test_a_word_that_it_is_done_reboots_no_node_whose_log_grows(
    traits: dict[str, Any], tmp_path: Path
) -> None:
    drive = drive_of(
        tmp_path, upgrade={**HIDDEN, "line_every_s": 10.0}, times={**TIMES, "upgrade_s": 1500.0}, **traits
    )
    given_up(drive)
    drive.decide(NODE, "done")
    assert drive.resume() == 0, drive.stuck
    assert drive.world.of_kind("premature_reboot") == [] and starts(drive) == 1


def test_it_is_not_rebooted_however_long_it_grows(tmp_path: Path) -> None:
    drive = drive_of(
        tmp_path, upgrade={**HIDDEN, "line_every_s": 10.0}, times={**TIMES, "upgrade_s": 15000.0}
    )
    assert drive.start() == 5
    drive.decide(FIRST, "done")
    assert drive.resume() == 5
    [(step, held)] = drive.stuck
    assert step == f"reboot:{FIRST}" and "not rebooted" in held.error
    assert f"do not reboot {FIRST}" in held.remedy and "tail -f" in held.remedy
    assert drive.world.of_kind("reboot") == []


def test_a_log_that_is_silent_holds_no_reboot_up(tmp_path: Path) -> None:
    """A person who says that it is done has looked: an old log, and an empty process list, are no reason to wait."""
    drive = drive_of(tmp_path)
    given_up(drive)
    node = drive.world.nodes[NODE]
    run = node.running
    assert run is not None
    run.ended, run.outcome = drive.world.now, "killed"
    node.drop_due("upgrade_end", "services_down")
    node.pending = "2.21.0+15451"
    drive.world.touch()
    drive.world.clock.advance(600.0)
    drive.decide(NODE, "done")
    before = drive.world.now
    drive.resume()
    assert drive.world.of_kind("reboot", NODE)[0].at - before < 30.0


def test_a_log_that_grows_is_followed_after_a_resume(tmp_path: Path) -> None:
    """No process list tells: exit 6 after some looks, and a person rebooted it."""
    drive = drive_of(tmp_path, shell={"missing": ["ps", "pgrep", "sh"]}, times={**TIMES, "upgrade_s": 1500.0})
    given_up(drive)
    assert drive.resume() == 0, drive.stuck
    assert starts(drive) == 1


def test_who_gives_up_is_told_not_to_reboot(tmp_path: Path) -> None:
    drive = drive_of(tmp_path, times={**TIMES, "upgrade_s": 9000.0})
    assert drive.start() == 5
    [(step, held)] = drive.stuck
    assert step == f"upgrade:{FIRST}" and f"its log grows: do not reboot {FIRST}" in held.remedy


@pytest.mark.parametrize(
    "said", ["sudo: Ein Passwort ist notwendig\n", "Sorry, user ksadmin may not do that\n"]
)
def test_a_sudo_that_refuses_in_any_language_is_believed(said: str, tmp_path: Path) -> None:
    """It waited for a reboot for the whole of ``timeouts.reboot``."""
    drive = drive_of(tmp_path, upgrade={})

    class Refusing(SimShell):
        def change(self, *argv: str, timeout: float = 30.0, stdin: bytes | None = None) -> Reply:
            if argv[-1] == "reboot":
                return Reply(1, "", said)
            return super().change(*argv, timeout=timeout, stdin=stdin)

    class Fleet(SimFleet):
        def shell(self, node: str) -> SimShell:
            return self._shells.setdefault(node, Refusing(self.world, node))

    drive.fleet_of = Fleet
    assert drive.start() == 5
    [(step, held)] = drive.stuck
    assert step == f"reboot:{FIRST}" and said.strip() in held.error
    began, ended = held.started, held.finished
    assert began and ended and (ended - began).total_seconds() < 30.0


def test_a_proven_success_is_not_waited_for_again(tmp_path: Path) -> None:
    """Its log can be read by root only, and was written to a moment ago; its success line came on the terminal."""
    drive = drive_of(tmp_path, upgrade={"log_of_root": True})
    assert drive.start() == 0, drive.stuck
    steps = drive.state.steps
    done, began = steps[f"upgrade:{FIRST}"].finished, steps[f"reboot:{FIRST}"].started
    assert done and began and (began - done).total_seconds() < 5.0
