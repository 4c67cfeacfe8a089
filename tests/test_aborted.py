"""What ``abort``, ``status`` and ``report`` say of a run that was ended in the middle: what goes on, and what comes next."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctmupgrade.adapters.disk.run_store import RunFolder
from ctmupgrade.commands import prepare, recover
from ctmupgrade.commands import restore as restoring
from ctmupgrade.commands import run as running
from ctmupgrade.commands.control import ask_stop
from ctmupgrade.commands.run import RunOptions
from ctmupgrade.commands.runs import hold
from ctmupgrade.core.model import Options
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.plan.steps import MakeBackup
from ctmupgrade.core.run.again import again_command
from ctmupgrade.core.run.journal import RunState, StepDone, StepStarted
from ctmupgrade.core.run.operator_input import OperatorInput
from ctmupgrade.sim import timeline
from tests.support import golden
from tests.support.lost_cluster import living, lose
from tests.support.world_run import Killed, make_world
from tests.test_killed_before_marks import NODES, REJOIN, Here


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTM_BACKUP_KEY_PASSWORD", "simulated-key-password")


def _killed_at(step: str) -> RunOptions:
    def watch(_state: Any, event: Any, _key: str, _tick: Any) -> None:
        if isinstance(event, StepStarted) and event.step == step:
            raise Killed

    return RunOptions(watch=watch)


def _abort(here: Here) -> tuple[str, ...]:
    return ask_stop(here.setup().request, "test", None, "abort").lines


def _told(here: Here, *words: str) -> str:
    code, said = golden.call(*words, here.newest.parent.name, "--state-dir", str(here.folder / "state"))
    assert code == 0
    return said


# -- a script that was left at work ----------------------------------------------------------------------------------


@pytest.fixture
def left(tmp_path: Path) -> Here:
    """A run that was killed while ks_upgrade.sh works on ctm-1, and aborted."""
    here = Here(make_world(3), tmp_path / "here")
    here.run_until("upgrade:ctm-1")
    return here


def test_abort_says_which_script_it_leaves_at_work_and_its_commands_lead_out(left: Here) -> None:
    _first, script, last = _abort(left)
    assert script.startswith("ctm-1: ks_upgrade.sh was started and may still run: do not reboot the node")
    assert "when it has ended: ctmupgrade recover " in script
    assert last == "to finish it later, after that: ctmupgrade run"
    found = recover.look(left.setup(), OperatorInput())
    assert not found.plan.steps and "wait and touch nothing" in found.diagnosis.headline
    left.world.clock.advance(3000.0)
    timeline.catch_up(left.world)
    left.recover(OperatorInput())
    assert len(left.world.of_kind("reboot", "ctm-1")) == 1
    assert running.run(left.setup(), RunOptions()).code == 0
    assert [len(left.world.of_kind("upgrade_started", name)) for name in left.world.nodes] == [1, 1, 1]


@pytest.mark.parametrize("words", [("status",), ("report",), ("report", "--format", "json")])
def test_nothing_that_was_aborted_is_said_to_run(words: tuple[str, ...], left: Here) -> None:
    before = _told(left, "status", "--format", "json")
    assert {n["name"]: n["state"] for n in json.loads(before)["nodes"]}["ctm-1"] == "running"
    _abort(left)
    said = _told(left, *words)
    assert "ctm-1: ks_upgrade.sh was started and may still run" in said
    if "json" in words:
        document = json.loads(said)
        assert {n["name"]: n["state"] for n in document["nodes"]}["ctm-1"] == "interrupted"
        attempts = {(one.step, one.how) for one in RunFolder(left.newest.parent).state().attempts}
        assert ("upgrade:ctm-1", "left") in attempts and "running" not in dict(attempts).values()
    else:
        assert "was running when the run ended" in said


def test_a_run_that_goes_on_says_nothing_of_it(left: Here) -> None:
    assert "may still run" not in _told(left, "status")


def test_a_script_whose_end_was_seen_is_not_said_to_run(tmp_path: Path) -> None:
    here = Here(make_world(3), tmp_path / "here")
    with pytest.raises(Killed):
        running.run(here.setup(), _killed_at("reboot:ctm-1"))
    assert not [line for line in _abort(here) if "may still run" in line]


def _rehearsed(tmp_path: Path, fault: str, decision: str) -> str:
    """What ``abort`` says of a run that the fault stopped at ks_upgrade.sh, after the decision."""
    place = ["--simulate", str(golden.SCENARIOS / "healthy-three"), "--state-dir", str(tmp_path)]
    golden.call("run", "--yes", "--fault", f"{fault}@upgrade:ctm-2", *place)
    run = next(tmp_path.glob("*/*/journal.jsonl")).parent.name
    if decision:
        assert golden.call("node", decision, run, "ctm-2", "--reason", "x", "--yes", *place)[0] == 0
    return golden.call("abort", run, "--yes", *place)[1]


@pytest.mark.parametrize("decision", ["", "skip", "retry"])
def test_a_script_that_was_given_up_may_still_run(decision: str, tmp_path: Path) -> None:
    said = _rehearsed(tmp_path, "upgrade_hangs", decision)
    assert "ctm-2: ks_upgrade.sh was started and may still run: do not reboot the node" in said
    assert "to finish it later, after that:" in said


@pytest.mark.parametrize("decision", ["", "skip", "retry"])
def test_a_script_that_was_seen_to_fail_is_not_said_to_run(decision: str, tmp_path: Path) -> None:
    assert "may still run" not in _rehearsed(tmp_path, "upgrade_fails", decision)


# -- the command that comes next -------------------------------------------------------------------------------------


def _ends(here: Here, begin: Callable[[], object]) -> tuple[str, RunState]:
    with pytest.raises(Killed):
        begin()
    last = _abort(here)[-1]
    return last, RunFolder(here.newest.parent).state()


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("remove:ctm-2", "--rejoin ctm-2,ctm-3 --survivor ctm-1"),
        ("join:ctm-2", "--rejoin ctm-2,ctm-3 --survivor ctm-1"),
        (
            "remove:ctm-3",
            "--rejoin ctm-3 --survivor ctm-1",
        ),  # ctm-2 is a member again: it is not erased once more
    ],
)
def test_an_aborted_recovery_is_finished_by_recover(step: str, words: str, tmp_path: Path) -> None:
    here = Here(make_world(nodes=NODES, keys={"data-main": 100}), tmp_path / "here")
    made = here.setup(options=Options(survivor="ctm-1"))
    last, state = _ends(here, lambda: recover.perform(made, _killed_at(step), recover.look(made, REJOIN)))
    assert last == f"to finish it later: ctmupgrade recover {words}"
    known = state.surroundings.known
    assert known == REJOIN
    here.world.clock.advance(8000.0)
    timeline.catch_up(here.world)
    named = tuple(words.split()[1].split(","))
    assert here.recover(OperatorInput(rejoin=named, survivor="ctm-1")).code == 0
    assert {n.cluster for n in here.world.nodes.values()} == {"A"}


def test_a_rebuild_that_took_the_cluster_apart_is_finished_by_recover(tmp_path: Path) -> None:
    here = Here(make_world(3), tmp_path / "here", strategy=StrategyName.REBUILD)
    last, _ = _ends(here, lambda: running.run(here.setup(), _killed_at("join:ctm-2")))
    assert last == "to finish it later: ctmupgrade recover"
    assert recover.look(here.setup(), OperatorInput()).plan.steps, "it has a way back"


def test_a_rebuild_that_changed_no_cluster_is_begun_again(tmp_path: Path) -> None:
    here = Here(make_world(3), tmp_path / "here", strategy=StrategyName.REBUILD)
    last, _ = _ends(here, lambda: running.run(here.setup(), _killed_at("stage:ctm-1")))
    assert last == "to finish it later: ctmupgrade run"


@pytest.mark.parametrize(
    "words",
    [("--nodes", "ctm-1,ctm-2"), ("--strategy", "rebuild", "--survivor", "ctm-2"), ("--parallel", "1")],
)
def test_an_aborted_run_is_begun_again_as_it_was(words: tuple[str, ...], tmp_path: Path) -> None:
    """Without its options it would upgrade other nodes, or in another way."""
    place = ["--simulate", str(golden.SCENARIOS / "healthy-three"), "--state-dir", str(tmp_path)]
    assert golden.call("run", "--yes", "--fault", "disk_full@stage:ctm-2", *words, *place)[0] == 5
    said = golden.call("abort", "--yes", *place)[1]
    last = next(line for line in said.splitlines() if line.startswith("to finish it later"))
    assert all(f" {option} {value}" in last for option, value in zip(words[::2], words[1::2], strict=True))
    again = shlex.split(last.partition(": ctmupgrade ")[2])
    assert golden.call(*again, "--yes")[0] == 0


def test_a_rehearsal_that_was_killed_is_begun_again_by_the_command_that_is_printed(tmp_path: Path) -> None:
    place = ["--simulate", str(golden.SCENARIOS / "stale-backup"), "--state-dir", str(tmp_path)]
    assert golden.call("stage", "--yes", *place)[0] == 0
    journal = next(tmp_path.glob("*/*/journal.jsonl"))
    journal.write_text(journal.read_text().splitlines(keepends=True)[0])  # as after kill -9 at its first line
    code, said = golden.call("resume", journal.parent.name, "--format", "json", *place)
    command = json.loads(said)["error"]["remedy"].partition("#")[0]
    assert code == 2 and command.startswith("ctmupgrade stage ")
    assert golden.call(*shlex.split(command)[1:], "--yes")[0] == 0


def test_an_aborted_restore_is_finished_by_restore(tmp_path: Path) -> None:
    here = Here(living(3, sealed=False), tmp_path / "here")
    here.run_until("upgrade:ctm-1")
    here.world.clock.advance(36_000.0)
    timeline.catch_up(here.world)
    lose(here.world)
    asked = restoring.RestoreRequest(gone=("ctm-3",))
    begin = lambda: restoring.restore(here.setup(), _killed_at("upload-key:ctm-1"), asked)  # noqa: E731
    last, state = _ends(here, begin)
    command = again_command(state)
    assert last == f"to finish it later: {command}"
    assert command.startswith("ctmupgrade restore --on ctm-1 --backup /") and command.endswith(
        " --gone ctm-3"
    )
    file = Path(command.split("--backup ")[1].split()[0])
    assert file.is_file()
    again = restoring.RestoreRequest("ctm-1", file, ("ctm-3",))
    assert restoring.restore(here.setup(), RunOptions(), again).code == 0


@pytest.mark.parametrize("command", ["stage", "backup"])
def test_what_is_prepared_alone_is_prepared_again(command: str, tmp_path: Path) -> None:
    place = ["--simulate", str(golden.SCENARIOS / "stale-backup"), "--state-dir", str(tmp_path)]
    assert golden.call(command, "--yes", *place)[0] == 0
    state = RunFolder(next(tmp_path.glob("*/*/journal.jsonl")).parent).state()
    assert again_command(state) == f"ctmupgrade {command}"


def test_a_drill_names_its_spare_again(tmp_path: Path) -> None:
    fixture = golden.SCENARIOS.parent / "restores" / "drill"
    place = ["--simulate", str(fixture), "--state-dir", str(tmp_path)]
    assert golden.call("drill", "--on", "spare=10.0.0.99", "--yes", *place)[0] == 0
    state = RunFolder(next(tmp_path.glob("*/*/journal.jsonl")).parent).state()
    assert again_command(state) == "ctmupgrade drill --on spare=10.0.0.99"


def test_what_comes_after_an_unreadable_rehearsal_stays_a_rehearsal(tmp_path: Path) -> None:
    place = ["--simulate", str(golden.SCENARIOS / "healthy-three"), "--state-dir", str(tmp_path)]
    assert golden.call("run", "--yes", "--dry-run", *place)[0] == 0
    journal = next(tmp_path.glob("*/*/journal.jsonl"))
    journal.write_text('{"seq":1}\n')
    code, said = golden.call("abort", journal.parent.name, "--yes", *place)
    assert code == 0 and said.count("--simulate") == said.count(": ctmupgrade ") == 2


# -- beside another run -----------------------------------------------------------------------------------------------


def test_a_dead_run_is_not_called_running_while_another_runs(tmp_path: Path) -> None:
    """A backup that was killed stops no later run; what was left for its process would be read by nobody."""
    here = Here(make_world(3), tmp_path / "here")

    def watch(_state: Any, event: Any, _key: str, _tick: Any) -> None:
        if isinstance(event, StepDone):
            raise Killed

    with pytest.raises(Killed):
        prepare.prepare_only(here.setup(), RunOptions(watch=watch), MakeBackup)
    dead = here.newest.parent
    place = ["--state-dir", str(here.folder / "state")]
    with hold(dead.parent, "20261130T000000-0000000"):
        assert golden.call("runs", *place)[1].rstrip().endswith("interrupted")
        assert "no process runs it" in golden.call("status", dead.name, *place)[1]
        assert golden.call("abort", dead.name, "--yes", *place)[0] == 8
    assert not list(dead.glob("requests/*.json"))
    with hold(dead.parent, dead.name[:-3]):  # resumed by its beginning
        assert "a process runs it now" in golden.call("status", dead.name, *place)[1]
