"""A node is not rebooted while its script may work: what no look has proven is asked of its log (docs/appliance.md 1.2)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctmupgrade.actions import before_reboot
from ctmupgrade.core.looks import shell_probes
from ctmupgrade.core.looks.facts import Unknown
from ctmupgrade.ports import Reply
from ctmupgrade.sim import SimFleet
from ctmupgrade.sim.shell import SimShell
from tests.support.fault_cases import NODE, TIMES
from tests.support.world_run import Drive
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


@pytest.mark.parametrize("traits", UNSEEN.values(), ids=UNSEEN)
@pytest.mark.parametrize("pause", [70.0, 200.0])
def test_a_log_that_pauses_is_waited_for(pause: float, traits: dict[str, Any], tmp_path: Path) -> None:
    """A minute of silence was believed, at the first look: only of the last phase is it known how often it writes."""
    drive = drive_of(
        tmp_path, upgrade={**HIDDEN, "line_every_s": pause}, times={**TIMES, "upgrade_s": 1500.0}, **traits
    )
    given_up(drive)
    drive.decide(NODE, "done")
    assert drive.resume() == 0, drive.stuck
    assert drive.world.of_kind("premature_reboot") == [] and starts(drive) == 1


AWAY, REFUSED = Unknown("the connection timed out", unreachable=True), Unknown("ls: cannot fork")
Answers = Callable[[int], object]  # what a look is answered by its number; None: what the node says


def answered(patch: pytest.MonkeyPatch, function: str, answers: Answers, probe: object = None) -> None:
    """What the wait for the script asks is answered otherwise."""
    real, looks = getattr(before_reboot, function), [0]

    def asked(*args: Any, **more: Any) -> object:
        if probe is not None and args[1] is not probe:
            return real(*args, **more)
        looks[0] += 1
        answer = answers(looks[0])
        return real(*args, **more) if answer is None else answer

    patch.setattr(before_reboot, function, asked)


@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize(
    ("why", "lost"),
    [
        *((AWAY, lost) for lost in ("its list", "its list and a search", "a search", "it")),
        *((REFUSED, lost) for lost in ("its list", "its list and a search", "a search")),
    ],
    ids=lambda part: part if isinstance(part, str) else part.why,
)
def test_a_look_that_tells_nothing_is_not_that_there_is_no_log(
    why: Unknown, lost: str, at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One lost look rebooted a node whose script worked."""
    drive = drive_of(tmp_path, upgrade={**HIDDEN, "line_every_s": 10.0}, times={**TIMES, "upgrade_s": 1500.0})
    given_up(drive)
    drive.decide(NODE, "done")

    def once(look: int) -> Unknown | None:
        return why if look == at else None

    if "list" in lost:
        answered(monkeypatch, "ask", once, shell_probes.LOG_LIST)
    elif lost == "a search":  # in none of the likely folders
        answered(monkeypatch, "ask", lambda _look: (), shell_probes.LOG_LIST)
    if "search" in lost:
        answered(monkeypatch, "found_elsewhere", once if lost == "a search" else lambda _look: why)
    if lost == "it":
        answered(monkeypatch, "read_log", once)
    assert drive.resume() == 0, drive.stuck
    assert drive.world.of_kind("premature_reboot") == [] and starts(drive) == 1


def stopped(drive: Drive) -> None:
    """A person takes it for dead, and it is; the node waits for its reboot."""
    given_up(drive)
    node = drive.world.nodes[NODE]
    run = node.running
    assert run is not None
    run.ended, run.outcome = drive.world.now, "killed"
    node.drop_due("upgrade_end", "services_down")
    node.pending = "2.21.0+15451"
    drive.world.touch()
    drive.decide(NODE, "done")


@pytest.mark.parametrize("found", [REFUSED, []], ids=["no search", "none found"])
def test_a_node_that_never_tells_its_logs_is_rebooted_on_a_word(
    found: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive = drive_of(tmp_path)
    stopped(drive)
    answered(monkeypatch, "ask", lambda _look: REFUSED, shell_probes.LOG_LIST)
    answered(monkeypatch, "found_elsewhere", lambda _look: found)
    before = drive.world.now
    drive.resume()
    assert 60.0 <= drive.world.of_kind("reboot", NODE)[0].at - before < 90.0


def test_a_node_that_is_not_reached_is_not_rebooted_however_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive = drive_of(tmp_path)
    stopped(drive)
    answered(monkeypatch, "read_log", lambda _look: AWAY)
    assert drive.resume() == 5 and drive.world.of_kind("reboot", NODE) == []
    [(step, held)] = drive.stuck
    assert step == f"reboot:{NODE}" and "whether its log grows is not known: the connection" in held.error


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
    stopped(drive)
    drive.world.clock.advance(600.0)
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
