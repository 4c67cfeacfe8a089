"""What is not known of the appliance (docs/appliance.md 8): a run per variant. Each must end well, or block with a remedy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ctmupgrade.commands import check
from ctmupgrade.core.checks.findings import Finding
from ctmupgrade.core.model import Options
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.sim import Fault
from tests.support.fault_cases import NODE, SETTINGS, TIMES
from tests.support.fault_run import Story, broken_promises, story_of
from tests.support.world_run import Drive, make_world

MODES = ("screen", "foreground", "background")
PROGRAMS = (
    "sha256sum", "openssl", "shasum", "gpg", "python3", "pgrep", "ps", "screen", "awk", "tail", "nc", "bash", "find",
    "truncate", "uptime", "who", "stat", "grep",
)  # fmt: skip
HASHERS = ("openssl", "sha256sum", "shasum", "gpg", "python3")
REST = (*PROGRAMS[5:6], "screen", "awk", "nc", "tail", "find", "truncate", "uptime", "who", "stat", "grep")


def world_with(**defaults: Any) -> Any:
    world = make_world(3, defaults={"times": TIMES, **defaults}, archive={"size": 200_000, "generated": True})
    world.strict = False
    return world


def drive_with(folder: Path, *faults: Fault, **defaults: Any) -> Drive:
    drive = Drive(world_with(**defaults), folder, settings=SETTINGS)
    plan = drive.plan()
    drive.plan = lambda: plan  # type: ignore[method-assign]
    drive.world.inject(*faults)
    return drive


def ends_well(drive: Drive, *codes: int) -> Story:
    story = story_of(drive)
    assert story.broken == []
    assert story.codes == list(codes or (0,)), story
    assert story.well
    return story


def findings(folder: Path, **defaults: Any) -> Iterator[Finding]:
    """What the checks find that stops a run."""
    drive = Drive(world_with(**defaults), folder, settings=SETTINGS)
    result = check.check(drive.setup())
    assert broken_promises_of_a_look(drive) == []
    return (f for f in result.findings if f.stops)


def broken_promises_of_a_look(drive: Drive) -> list[str]:
    from tests.support.promises import check_promises

    return check_promises(drive.world, changes_expected=False)


# -- 8.1, 8.2, 8.6: the script without and with a terminal, its exit codes, its log -------------------------


@pytest.mark.parametrize("code", [-1, 0, 1, 255])
@pytest.mark.parametrize("mode", MODES)
def test_a_success_is_one_whatever_the_exit_code(mode: str, code: int, tmp_path: Path) -> None:
    ends_well(drive_with(tmp_path, upgrade={"tty_mode": mode, "exit_code": code}))


@pytest.mark.parametrize("at", ["once", "middle"])
@pytest.mark.parametrize("code", [-1, 0, 1])
@pytest.mark.parametrize("mode", MODES)
def test_a_failure_is_one_whatever_the_exit_code(mode: str, code: int, at: str, tmp_path: Path) -> None:
    fails = Fault("upgrade_fails", NODE, params={"at": at})
    story = ends_well(drive_with(tmp_path, fails, upgrade={"tty_mode": mode, "exit_code": code}), 5, 0)
    assert "Upgrade failed" in story.said[0][1]
    assert story.decided == [f"retry upgrade:{NODE}"]


@pytest.mark.parametrize(("mode", "codes"), [("screen", (0,)), ("foreground", (6, 0)), ("background", (0,))])
def test_a_lost_connection_in_the_middle(mode: str, codes: tuple[int, ...], tmp_path: Path) -> None:
    """Where the script dies with its terminal a person decides; nowhere is it started twice at a time."""
    cut = Fault("cut", NODE, f"upgrade_started:{NODE} + 100s")
    ends_well(drive_with(tmp_path, cut, upgrade={"tty_mode": mode}), *codes)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "folder",
    ["/opt/keysecure/logs", "/var/log", "/tmp", "/var/spool/keysecure/jobs", "/root", "/opt/keysecure"],
)
def test_the_log_may_lie_anywhere(folder: str, mode: str, tmp_path: Path) -> None:
    """In a folder that ksadmin cannot read only the terminal tells; in the background nothing does."""
    hidden = folder == "/root" and mode == "background"
    drive = drive_with(tmp_path, upgrade={"tty_mode": mode, "log_folder": folder})
    if not hidden:
        ends_well(drive)
        return
    story = story_of(drive)
    assert story.broken == []
    assert story.codes[0] == 6
    assert "node done" in story.said[0][2]


def test_no_terminal_is_given(tmp_path: Path) -> None:
    drive = drive_with(tmp_path, shell={"pty": False})
    assert drive.start() == 5
    [(step, held)] = drive.stuck
    assert step == "upgrade:ctm-1"
    assert "pseudo-terminal" in held.error
    assert held.remedy
    assert drive.world.of_kind("upgrade_started") == []
    assert broken_promises(drive) == []


@pytest.mark.parametrize("stops", [True, False])
def test_services_may_or_may_not_stop_in_the_upgrade(stops: bool, tmp_path: Path) -> None:
    ends_well(drive_with(tmp_path, upgrade={"stops_services": stops}))


@pytest.mark.parametrize("lines", [1, 2, 3])
def test_a_log_without_its_last_lines(lines: int, tmp_path: Path) -> None:
    """Without the success line a person decides, whatever else the log says."""
    cut = Fault("log_truncated", NODE, params={"lines": lines})
    drive = drive_with(tmp_path, cut)
    story = story_of(drive)
    assert story.broken == []
    assert story.codes == ([0] if lines == 1 else [6, 0]), story


# -- 8.14: what the shell has --------------------------------------------------------------------------------


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_is_missing(program: str, tmp_path: Path) -> None:
    ends_well(drive_with(tmp_path, shell={"missing": [program]}))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("restricted", [False, True])
def test_nearly_everything_is_missing(restricted: bool, mode: str, tmp_path: Path) -> None:
    """Only cat, ls, date, df, ps, systemctl, mv, rm and sudo are left: files are hashed by reading them back."""
    shell = {"missing": [*HASHERS, *REST], "restricted": restricted}
    ends_well(drive_with(tmp_path, shell=shell, upgrade={"tty_mode": mode}))


@pytest.mark.parametrize("missing", [["mv"], ["mv", "rm", "mkdir", *HASHERS, *REST]])
def test_nothing_that_renames_a_file(missing: list[str], tmp_path: Path) -> None:
    """None of these is known to be there. The archive gets its own name at once."""
    drive = drive_with(tmp_path, shell={"missing": missing})
    ends_well(drive)
    assert "there is no mv to rename" in "".join(drive.state.steps[f"stage:{NODE}"].notes)


def test_a_restricted_shell(tmp_path: Path) -> None:
    ends_well(drive_with(tmp_path, shell={"restricted": True}))


def test_without_a_process_list_the_log_tells(tmp_path: Path) -> None:
    """A running script writes its log from its start, so no log without a verdict means that none runs."""
    assert list(findings(tmp_path, shell={"missing": ["ps", "pgrep", "sh"]})) == []


def test_without_a_process_list_a_log_without_verdict_blocks(tmp_path: Path) -> None:
    log = {"/home/ksadmin/ks_upgrade_2026-01-10-200000.log": {"data": "aW4gdGhlIG1pZGRsZQ=="}}
    stops = list(findings(tmp_path, shell={"missing": ["ps", "pgrep", "sh"]}, files=log))
    assert {f.check for f in stops} == {"no_upgrade_running"}
    assert all(f.verdict.value == "unknown" and f.remedy and f.node for f in stops)


def test_no_way_of_writing_a_file(tmp_path: Path) -> None:
    drive = drive_with(tmp_path, shell={"upload": False})
    assert drive.start() == 5
    assert all("no way of writing" in held.error and held.remedy for _, held in drive.stuck)
    assert drive.world.of_kind("upgrade_started") == []


@pytest.mark.parametrize("reply", ["ok", "lost"])
def test_the_reboot_answers_or_not(reply: str, tmp_path: Path) -> None:
    ends_well(drive_with(tmp_path, shell={"reboot_reply": reply}))


@pytest.mark.parametrize("lacks", ["upgrade", "reboot"])
def test_sudo_lacks_a_right(lacks: str, tmp_path: Path) -> None:
    stops = list(findings(tmp_path, sudo={lacks: False}))
    assert {f.check for f in stops} == {"sudo_allows_upgrade"}
    assert all(f.remedy and f.node for f in stops)


def test_sudo_allows_everything(tmp_path: Path) -> None:
    ends_well(drive_with(tmp_path, sudo={"everything": True, "upgrade": False, "reboot": False}))


# -- 8.10, 8.11: ksctl's JSON, words and errors ---------------------------------------------------------------


@pytest.mark.parametrize("errors_on", ["stdout", "stderr"])
@pytest.mark.parametrize("error_exit", [0, 1, 42])
@pytest.mark.parametrize("null_lists", [False, True])
@pytest.mark.parametrize("form", ["old", "new"])
def test_ksctl_prints_in_another_way(
    form: str, null_lists: bool, error_exit: int, errors_on: str, tmp_path: Path
) -> None:
    ksctl = {"format": form, "null_lists": null_lists, "error_exit": error_exit, "errors_on": errors_on}
    ends_well(drive_with(tmp_path, ksctl=ksctl))


@pytest.mark.parametrize("strategy", [StrategyName.REBUILD])
@pytest.mark.parametrize("error_exit", [0, 1])
@pytest.mark.parametrize("form", ["old", "new"])
def test_ksctl_prints_in_another_way_in_a_rebuild(
    form: str, error_exit: int, strategy: StrategyName, tmp_path: Path
) -> None:
    world = world_with(
        ksctl={"format": form, "error_exit": error_exit, "null_lists": True, "errors_on": "stderr"}
    )
    drive = Drive(world, tmp_path, strategy, settings=SETTINGS)
    ends_well(drive)


@pytest.mark.parametrize(
    "words",
    [
        ["in progress", "completed", "failed"],
        ["running", "success", "error"],
        ["In Progress", "Complete", "Failed"],
        ["pending", "successful", "aborted"],
        ["started", "done", "cancelled"],
    ],
)
def test_backup_status_words(words: list[str], tmp_path: Path) -> None:
    ends_well(drive_with(tmp_path / "good", ksctl={"status_words": words}))
    bad = drive_with(tmp_path / "bad", Fault("backup_fails", NODE), ksctl={"status_words": words})
    story = ends_well(bad, 5, 0)
    assert story.decided == [f"retry backup:{NODE}"]


def test_an_unknown_backup_word_is_no_success(tmp_path: Path) -> None:
    drive = drive_with(tmp_path, ksctl={"status_words": ["alpha", "beta", "gamma"]})
    assert drive.start() in (5, 6)
    assert drive.world.of_kind("upgrade_started") == []
    assert all("beta" in held.error and held.remedy for _, held in drive.stuck)


# -- 8.9, 8.18: services -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        '{"status":"started"}',
        '{"status":"started","services":null}',
        '{"status":"started","services":[]}',
        '{"services":[{"name":"web","status":"started"},{"name":"csm","status":"disabled"}]}',
        '{"status":"started","services":[{"name":"web","status":"started","since":null}]}',
    ],
)
def test_services_are_listed_in_another_way(body: str, tmp_path: Path) -> None:
    says = Fault("reply", "*", times=0, params={"command": "ksctl services status", "out": body})
    drive = Drive(world_with(), tmp_path, settings=SETTINGS)
    drive.world.inject(says)
    ends_well(drive)


@pytest.mark.parametrize("state", ["error", "starting"])
def test_a_service_that_is_in_error_for_good_blocks_before(state: str, tmp_path: Path) -> None:
    stops = list(findings(tmp_path, services={"web": "started", "ddc": state}))
    assert "services_started" in {f.check for f in stops}
    assert all("ddc" in f.summary and f.remedy for f in stops if f.check == "services_started")


def test_a_waived_path_stays_waived(tmp_path: Path) -> None:
    """A version without tested paths is for a person: manual, not a silent pass."""
    drive = Drive(world_with(version="2.19.0+14195"), tmp_path, settings=SETTINGS)
    result = check.check(drive.setup())
    found = [f for f in result.findings if f.check == "upgrade_path_known"]
    assert found
    assert all(f.verdict.value in ("manual", "block") for f in found)
    assert drive.options == Options()
