"""Hooks and own checks of the operator's: real programs, around runs of the real loop over a simulated world."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from ctmupgrade.adapters.local.programs import LocalPrograms
from ctmupgrade.adapters.tasks import one_by_one
from ctmupgrade.collect.own_checks import own_findings
from ctmupgrade.core.checks.findings import Finding, Verdict
from ctmupgrade.core.hooks import Hooks, OwnCheck
from ctmupgrade.core.redact import knowing
from ctmupgrade.core.run import journal
from ctmupgrade.core.run.journal import Event, Status
from ctmupgrade.core.run.programs import not_put_back
from ctmupgrade.core.run.report import make_report
from ctmupgrade.core.ticks import Tick
from ctmupgrade.ports import ProgramResult
from ctmupgrade.sim import Fault, SimFleet
from tests.support.live import Live
from tests.support.world_run import Drive, Killed, at_step, dies_at, make_world

LOG = 'echo "$CTMUPGRADE_HOOK $* again=$CTMUPGRADE_AGAIN" >> hooks.log\n'


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., str]:
    """Writes a program into the folder of cluster.yaml; what it does besides noting its call is given."""

    def write(name: str, more: str = "") -> str:
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{LOG}{more}\n")
        path.chmod(0o700)
        return f"./{name}"

    return write


def drive(folder: Path, nodes: int = 2, **settings: Any) -> Drive:
    (folder / "state").mkdir(exist_ok=True)
    made = Drive(make_world(nodes), folder / "state", settings={"folder": folder, **settings})
    made.programs = LocalPrograms(folder, ("KSCTL_PASSWORD",))
    return made


def called(folder: Path) -> list[str]:
    file = folder / "hooks.log"
    return file.read_text().splitlines() if file.exists() else []


def hooks(program: Callable[..., str], **more: str) -> Hooks:
    """All four; ``more``: what one of them does besides."""
    return Hooks(
        (program("before_run", more.get("before_run", "")),),
        (program("before_node", more.get("before_node", "")), "{node}", "{host}"),
        (program("after_node", more.get("after_node", "")), "{node}", "{outcome}"),
        (program("after_run", more.get("after_run", "")), "{outcome}"),
    )


def test_around_the_run_and_each_node(tmp_path: Path, program: Callable[..., str]) -> None:
    run = drive(tmp_path, hooks=hooks(program))
    order: list[str] = []

    def hook(_step: str, event: Event | None, _tick: Tick | None) -> None:
        if isinstance(event, journal.StepStarted) and event.step.startswith(("upgrade", "stage")):
            order.append(event.step)
        if isinstance(event, journal.ProgramStarted):
            order.append(f"{event.what}:{event.node}")

    run.hook = hook
    assert run.start() == 0
    host = [node.host for node in run.world.nodes.values()]
    assert called(tmp_path) == [
        "before_run  again=",
        f"before_node ctm-1 {host[0]} again=", "after_node ctm-1 done again=",
        f"before_node ctm-2 {host[1]} again=", "after_node ctm-2 done again=",
        "after_run done again=",
    ]  # fmt: skip
    assert order == [
        "before_run:", "stage:ctm-1", "stage:ctm-2",
        "before_node:ctm-1", "upgrade:ctm-1", "after_node:ctm-1",
        "before_node:ctm-2", "upgrade:ctm-2", "after_node:ctm-2", "after_run:",
    ]  # fmt: skip
    report = make_report(run.state)
    assert [(one.what, one.exit_code) for one in report.programs][:2] == [
        ("before_run", 0),
        ("before_node", 0),
    ]


@pytest.mark.parametrize("scope", ["before_run", "before_node"])
def test_a_no_before_pauses_and_what_was_begun_is_put_back(
    tmp_path: Path, program: Callable[..., str], scope: str
) -> None:
    run = drive(
        tmp_path, hooks=hooks(program, **{scope: "test -e allowed || { echo not in the calendar; exit 4; }"})
    )
    assert run.start() == 7
    assert "exit 4" in run.state.paused and "not in the calendar" in run.state.paused
    assert not [e for e in run.world.events if e.kind == "upgrade_started"]
    said = called(tmp_path)
    assert said[-1] == "after_run paused again="
    assert (said[-2] == "after_node ctm-1 paused again=") is (scope == "before_node")
    (tmp_path / "allowed").touch()
    assert run.resume() == 0
    assert called(tmp_path)[-1] == "after_run done again="
    assert [i for i in run.state.incidents if i.kind == "program"]


def test_a_no_after_is_only_reported(tmp_path: Path, program: Callable[..., str]) -> None:
    run = drive(tmp_path, hooks=hooks(program, after_node="exit 1", after_run="exit 1"))
    assert run.start() == 0
    assert len([i for i in run.state.incidents if i.kind == "program"]) == 3
    assert len(called(tmp_path)) == 6


def test_what_was_drained_is_put_back_where_the_upgrade_fails(
    tmp_path: Path, program: Callable[..., str]
) -> None:
    run = drive(tmp_path, hooks=hooks(program))
    run.hook = at_step(run.world, "upgrade:ctm-1", Fault("upgrade_fails", "ctm-1"))
    assert run.start() == 5
    assert called(tmp_path)[-2:] == ["after_node ctm-1 failed again=", "after_run failed again="]


def test_resume_does_not_run_a_hook_twice_without_saying_so(
    tmp_path: Path, program: Callable[..., str]
) -> None:
    """Killed before a hook ends, and killed right after: the first is run again and says so, the second is not."""
    run = drive(tmp_path, hooks=hooks(program))
    for event in (journal.ProgramStarted, journal.ProgramEnded):

        def kill(number: int, event: type = event) -> None:
            last = run.journal.lines[number][0]
            if event.__name__.removeprefix("Program").lower() in last and '"before_node"' in last:
                run.journal.after_write = lambda _n: None
                raise Killed

        run.journal.after_write = kill
        with pytest.raises(Killed):
            run.start() if run.processes == 0 else run.resume()
    assert called(tmp_path)[-1].endswith("again=yes")
    before = len(called(tmp_path))
    assert run.resume() == 0
    said = called(tmp_path)[before:]
    assert said[0].startswith("after_node ctm-1"), "ctm-1 was drained already"
    assert [i.text for i in run.state.incidents if "is run again" in i.text]


def test_after_a_kill_between_nodes_the_pair_stays_whole(tmp_path: Path, program: Callable[..., str]) -> None:
    run = drive(tmp_path, hooks=hooks(program))

    def kill(number: int) -> None:
        if '"step": "upgrade:ctm-2"' in run.journal.lines[number][0]:
            run.journal.after_write = lambda _n: None
            raise Killed

    run.journal.after_write = kill
    with pytest.raises(Killed):
        run.start()
    assert run.resume() == 0
    assert [line.split()[0] for line in called(tmp_path)] == [
        "before_run", "before_node", "after_node", "before_node", "after_node", "after_run",
    ]  # fmt: skip


def test_who_ends_a_dead_run_is_told_what_was_not_put_back(
    tmp_path: Path, program: Callable[..., str]
) -> None:
    run = drive(tmp_path, hooks=hooks(program))

    def kill(number: int) -> None:
        if '"step": "upgrade:ctm-1"' in run.journal.lines[number][0]:
            raise Killed

    run.journal.after_write = kill
    with pytest.raises(Killed):
        run.start()
    told = "\n".join(not_put_back(run.state))
    assert "before_run was run" in told and "before_node of ctm-1 was run" in told and "ctm-2" not in told


def test_after_node_alone(tmp_path: Path, program: Callable[..., str]) -> None:
    run = drive(tmp_path, hooks=Hooks(after_node=(program("put-back"), "{node}")))
    assert run.start() == 0
    assert called(tmp_path) == ["after_node ctm-1 again=", "after_node ctm-2 again="]


def test_nothing_is_run_where_nothing_is_run_for_real(tmp_path: Path, program: Callable[..., str]) -> None:
    run = drive(tmp_path, hooks=hooks(program))
    run.programs = None
    assert run.start() == 0 and called(tmp_path) == []


# -- the operator's own checks -----------------------------------------------------------------------------------


def test_a_check_that_fails_after_a_node_stops_the_next(tmp_path: Path, program: Callable[..., str]) -> None:
    read_key = program("read-key", "test -e key-store-up || { echo no key; exit 1; }")
    canary = OwnCheck("canary", (read_key, "{url}"), when=("after_node",))
    run = drive(tmp_path, hooks=hooks(program), own_checks=(canary,))
    assert run.start() == 3
    started = [e.node for e in run.world.events if e.kind == "upgrade_started"]
    assert started == ["ctm-1"] and "canary" in run.state.paused and "no key" in run.state.paused
    assert called(tmp_path)[-2:] == ["after_node ctm-1 failed again=", "after_run failed again="]
    assert run.resume() == 3, "it must pass before another node is begun"
    assert [e.node for e in run.world.events if e.kind == "upgrade_started"] == ["ctm-1"]
    (tmp_path / "key-store-up").touch()
    assert run.resume() == 0
    assert {n.version.partition("+")[0] for n in run.world.nodes.values()} == {"2.21.0"}


def test_a_check_that_fails_after_the_last_node_is_no_success(
    tmp_path: Path, program: Callable[..., str]
) -> None:
    canary = OwnCheck("canary", (program("read-key", 'test "$1" = ctm-1'), "{node}"), when=("after_node",))
    run = drive(tmp_path, own_checks=(canary,))
    assert run.start() == 3 and run.state.unfinished


def test_a_check_that_was_added_when_all_is_over_counts(tmp_path: Path, program: Callable[..., str]) -> None:
    """The process died before the end was written down; the operator, who is not sure, adds a check."""
    run = drive(tmp_path)
    run.hook = dies_at("compare-settings:ctm-2", journal.StepDone)
    with pytest.raises(Killed):
        run.start()
    assert {held.status for held in run.state.steps.values()} == {Status.DONE}
    canary = OwnCheck("canary", (program("read-key", "exit 1"), "{node}"), when=("after_node",))
    run.hook, run.cluster = Drive.hook, replace(run.cluster, own_checks=(canary,))
    assert run.resume() == 3 and run.state.unfinished


def found(folder: Path, *checks: OwnCheck, programs: bool = True, **more: Any) -> list[Finding]:
    run = drive(folder, own_checks=checks)
    runner = LocalPrograms(folder) if programs else None
    return list(own_findings(run.cluster, SimFleet(run.world), runner, one_by_one, **more))


def test_checks_block_by_their_exit_code(tmp_path: Path, program: Callable[..., str]) -> None:
    drained = OwnCheck(
        "lb-drained", (program("lb", 'echo "$1 still has sessions"; test "$1" = ctm-1'), "{node}")
    )
    once = OwnCheck("calendar", (program("calendar"),))
    slow = OwnCheck("slow", (program("slow", "sleep 60"),), timeout=timedelta(milliseconds=200))
    gone = OwnCheck("gone", ("./nowhere",))
    later = OwnCheck("later", ("./nowhere",), when=("after_node",))
    verdicts = {(f.check, f.node): f for f in found(tmp_path, drained, once, slow, gone, later)}
    assert {key: f.verdict for key, f in verdicts.items()} == {
        ("lb-drained", "ctm-1"): Verdict.PASS, ("lb-drained", "ctm-2"): Verdict.BLOCK,
        ("calendar", ""): Verdict.PASS, ("slow", ""): Verdict.BLOCK, ("gone", ""): Verdict.BLOCK,
    }  # fmt: skip
    assert "ctm-2 still has sessions" in verdicts["lb-drained", "ctm-2"].summary
    assert "did not end within" in verdicts["slow", ""].summary
    assert verdicts["lb-drained", "ctm-2"].remedy.startswith("./lb ctm-2 ")
    assert [f.check for f in found(tmp_path, once, gone, only=("calendar",))] == ["calendar"]


def test_a_check_on_the_node_is_asked_over_ssh(tmp_path: Path) -> None:
    look = OwnCheck("home", ("test", "-d", "/no/such/folder"), on_node=True)
    assert {f.node for f in found(tmp_path, look)} == {"ctm-1", "ctm-2"}


@pytest.mark.parametrize(
    ("fault", "verdict", "words"),
    [("silence", Verdict.BLOCK, "did not end within 60 s"), ("drop", Verdict.UNKNOWN, "connection")],
)
def test_a_check_on_the_node_that_hangs_blocks_as_one_here_does(
    tmp_path: Path, fault: str, verdict: Verdict, words: str
) -> None:
    """Contract: exit 0 passes, anything else blocks; it is no node that cannot be reached (exit 4)."""
    look = OwnCheck("home", ("test", "-d", "/"), on_node=True)
    run = drive(tmp_path, own_checks=(look,))
    run.world.faults.append(Fault(fault, "ctm-1", params={"command": "test -d"}))
    runner = LocalPrograms(tmp_path)
    both = {f.node: f for f in own_findings(run.cluster, SimFleet(run.world), runner, one_by_one)}
    assert both["ctm-1"].verdict is verdict and words in both["ctm-1"].summary
    assert both["ctm-2"].verdict is Verdict.PASS


def test_a_simulation_says_that_it_runs_none(tmp_path: Path) -> None:
    assert [f.verdict for f in found(tmp_path, OwnCheck("x", ("./x",)), programs=False)] == [Verdict.SKIPPED]


# -- how a program is run ----------------------------------------------------------------------------------------


def ran(folder: Path, *argv: str, timeout: float = 20, **more: Any) -> ProgramResult:
    given = {"variables": {"CTMUPGRADE_RUN": "r1"}, "names": (), **more}
    return LocalPrograms(folder, ("SECRET_OF_OURS",)).run(argv, timeout=timeout, **given)


def test_words_reach_it_as_data(tmp_path: Path) -> None:
    result = ran(tmp_path, "printf", "%s|", "a b", "$HOME", "`id`", "; reboot", "*")
    assert result.output == "a b|$HOME|`id`|; reboot|*|"


def test_its_environment_is_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SECRET_OF_OURS", "TICKET_TOKEN", "SOMETHING_ELSE"):
        monkeypatch.setenv(name, "value-of-it")
    seen = ran(tmp_path, "env", names=("TICKET_TOKEN", "SECRET_OF_OURS", "NOT_SET")).output
    names = {line.partition("=")[0] for line in seen.splitlines()}
    assert {"PATH", "CTMUPGRADE_RUN", "TICKET_TOKEN"} <= names
    assert not names & {"SECRET_OF_OURS", "SOMETHING_ELSE"}


def test_its_output_is_bounded_cleaned_and_redacted(tmp_path: Path) -> None:
    with knowing(["Hunter2-secret"]):
        result = ran(
            tmp_path, "sh", "-c", 'printf "\\033[2Jtop Hunter2-secret\\n"; yes | head -c 3000000; echo end'
        )
    assert result.code == 0 and len(result.output) < 5000
    assert result.output.startswith("top ***") and result.output.endswith("end")
    assert "left out" in result.output and "\x1b" not in result.output


def _alive_in_group(group: int) -> list[int]:
    found = []
    for process in psutil.process_iter():
        with suppress(OSError, psutil.Error):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    return found


def test_one_that_hangs_is_stopped_with_its_children(tmp_path: Path) -> None:
    begun = time.monotonic()
    result = ran(tmp_path, "sh", "-c", "echo $$ > pid; sleep 300 & wait", timeout=0.3)
    assert result.code == -1 and "did not end within 0.3 s" in result.error
    assert time.monotonic() - begun < 20
    while alive := _alive_in_group(int((tmp_path / "pid").read_text())):
        assert time.monotonic() - begun < 20, alive
        time.sleep(0.05)


def test_one_that_leaves_a_child_behind_does_not_hold_the_run_up(tmp_path: Path) -> None:
    begun = time.monotonic()
    assert ran(tmp_path, "sh", "-c", "setsid sleep 20 & echo done").output == "done"
    assert time.monotonic() - begun < 15


def test_others_could_have_written_it(tmp_path: Path, program: Callable[..., str]) -> None:
    (tmp_path / program("open.sh")).chmod(0o777)
    result = ran(tmp_path, "./open.sh")
    assert result.code == -1 and "others can write to it" in result.error and not called(tmp_path)


def test_a_folder_in_which_anybody_may_put_another_one(tmp_path: Path, program: Callable[..., str]) -> None:
    program("mine.sh")
    (tmp_path / "open").mkdir()
    (tmp_path / "mine.sh").rename(tmp_path / "open" / "mine.sh")
    (tmp_path / "open").chmod(0o777)
    result = ran(tmp_path, "./open/mine.sh")
    assert result.code == -1 and "all may write to" in result.error and not called(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a program to another user")
def test_another_user_could_change_it(tmp_path: Path, program: Callable[..., str]) -> None:
    os.chown(tmp_path / program("theirs.sh"), 65534, 65534)
    result = ran(tmp_path, "./theirs.sh")
    assert result.code == -1 and "it belongs to nobody" in result.error and not called(tmp_path)


def test_the_journal_has_them_before_they_run(tmp_path: Path, program: Callable[..., str]) -> None:
    run = drive(tmp_path, hooks=Hooks(before_run=(program("b", "exit 1"),)))
    assert run.start() == 7
    kinds = [json.loads(text)["kind"] for text, _ in run.journal.lines]
    assert kinds == ["run-started", "program-started", "program-ended", "run-paused"]


# -- the installed program ---------------------------------------------------------------------------------------


EXTRA = """strategy: standalone
hooks:
  before_run: [/bin/sh, -c, 'echo "run $CTMUPGRADE_RUN" >> calls; test "$KSCTL_PASSWORD$CTM_BACKUP_KEY_PASSWORD" = ""']
  after_run: [/bin/sh, -c, 'echo "end {outcome}" >> calls']
checks:
  own:
    - {name: lb-drained, run: [/bin/sh, -c, "echo check {node} >> calls"], on: here}
    - {name: home-there, run: [test, -d, /], on: node, when: [check]}
contacts: [{name: Storage on call, phone: "+00 000"}]"""


def test_a_live_run_runs_them_and_a_dry_run_does_not(go_live: Callable[..., Live]) -> None:
    live = go_live(nodes=1, more={"clustered": False}, extra=EXTRA)
    dry = live.run("run", "--dry-run", "--yes")
    calls = live.folder / "calls"
    assert dry.returncode == 0 and calls.read_text() == "check ctm-1\n", dry.stdout + dry.stderr
    assert "hook before_run runs on this machine" in dry.stdout
    assert "Storage on call" in live.run("runbook").stdout
    said = live.run("run", "--yes", "--format", "json")
    report = json.loads(said.stdout.splitlines()[-1])
    assert said.returncode == 0, said.stdout + said.stderr
    assert calls.read_text().splitlines()[-3:] == ["check ctm-1", f"run {report['run']}", "end done"]
    assert [one["what"] for one in report["programs"]] == ["before_run", "after_run"]
