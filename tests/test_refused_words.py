"""Words on the command line that would do nothing, or harm, are refused before any node is asked. The installed
program, as black-box testers typed it."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ctmupgrade.cli.left import told_where_it_stands
from ctmupgrade.core.modes import Mode
from ctmupgrade.core.run import journal
from ctmupgrade.errors import Interrupted
from tests.support.desk import SCENARIOS, Desk, Done
from tests.support.live import PROGRAM, Live
from tests.support.world_run import Drive, make_world


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def refused(desk: Desk, said: Done, *words: str) -> str:
    """The complaint of what ended with 2, said what to do, and left nothing."""
    assert said.returncode == 2, (said.returncode, said.stdout, said.stderr)
    assert "\n  -> " in said.stderr, said.stderr
    for word in words:
        assert word in said.stderr, (word, said.stderr)
    assert not list(desk.state.glob("*/*/journal.jsonl"))
    return said.stderr


# -- a rebuild takes the whole cluster ---------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["run", "plan", "runbook", "check"])
def test_a_rebuild_of_some_nodes_is_refused(desk: Desk, command: str) -> None:
    said = desk.type(command, "--strategy", "rebuild", "--nodes", "ctm-1,ctm-2", scenario="healthy-three")
    refused(desk, said, "--nodes leaves out ctm-3", "whole cluster", "--hold-back")
    assert said.stdout == "", "before any contact"


def test_a_rebuild_with_all_nodes_named_and_a_stage_of_some_are_not(desk: Desk) -> None:
    words = ["--strategy", "rebuild", "--nodes", "ctm-1,ctm-2,ctm-3"]
    assert desk.type("plan", *words, scenario="healthy-three").returncode == 0
    words = ["--strategy", "rebuild", "--nodes", "ctm-1"]
    assert desk.type("stage", *words, scenario="healthy-three").returncode == 0


# -- nodes and values that are not there -------------------------------------------------------------------------


def test_a_stop_behind_a_node_that_is_not_there(desk: Desk) -> None:
    said = desk.type("run", "--stop-after", "ctm-9", scenario="healthy-three")
    refused(desk, said, "--stop-after ctm-9", "it has: ctm-1, ctm-2, ctm-3")
    said = desk.type("run", "--nodes", "ctm-1", "--stop-after", "ctm-3", scenario="healthy-three")
    refused(desk, said, "--stop-after ctm-3", "it has: ctm-1\n")
    assert desk.type("run", "--stop-after", "ctm-1", scenario="healthy-three").returncode == 7
    before = desk.journal.read_text()
    said = desk.type("resume", "--stop-after", "ctm-9", scenario="healthy-three")
    assert (said.returncode, "it has: ctm-1, ctm-2, ctm-3" in said.stderr) == (2, True), said.stderr
    assert desk.journal.read_text() == before


@pytest.mark.parametrize(
    "words",
    [
        ["--order", ""], ["--nodes", ""], ["--nodes="], ["--order= "], ["--nodes", ","], ["--order", " , "],
        ["--stop-after", ""], ["--skip", ""], ["--limit-rate", ""], ["--take-over="], ["-c", ""], ["--state-dir", ""],
    ],
    ids=" ".join,
)  # fmt: skip
def test_an_empty_value_is_not_the_same_as_none(desk: Desk, words: list[str]) -> None:
    """It is a shell variable that was not set; ``--nodes "$LIST"`` must not mean all."""
    said = desk.type("run", *words, scenario="healthy-three")
    refused(desk, said, words[0].partition("=")[0])
    assert said.stdout == ""


# -- options of another strategy ---------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["run", "plan", "stage"])
@pytest.mark.parametrize(
    ("words", "strategy"),
    [
        (["--survivor", "ctm-1"], "rebuild"), (["--hold-back", "ctm-3"], "rebuild"), (["--reset-before-join"], "rebuild"),
        (["--keep-copies", "2"], "rebuild"), (["--fresh", "ctm-2=10.0.0.9"], "rebuild"),
        (["--shared-hsm-partition"], "rebuild"), (["--allow-downgrade"], "standalone"),
    ],
    ids=lambda v: v[0] if isinstance(v, list) else "",
)  # fmt: skip
def test_an_option_of_another_strategy(desk: Desk, command: str, words: list[str], strategy: str) -> None:
    said = desk.type(command, *words, scenario="healthy-three")
    refused(desk, said, f"{words[0]} is for the {strategy} strategy", "is in-place")
    assert said.stdout == ""


def test_the_rebuilds_options_are_not_standalones(desk: Desk) -> None:
    said = desk.type("plan", "--survivor", "ctm-1", scenario="standalone")
    refused(desk, said, "--survivor is for the rebuild strategy", "is standalone")


def test_a_forced_path_that_no_page_documents(desk: Desk) -> None:
    refused(desk, desk.type("plan", "--force-path", scenario="healthy-three"), "--force-path", "2.21.0")


def test_a_node_cannot_be_gone_and_join_again(desk: Desk) -> None:
    words = ["recover", "--gone", "ctm-3,ctm-2", "--rejoin", "ctm-3"]
    refused(desk, desk.type(*words, scenario="one-node-down"), "--gone and --rejoin both name ctm-3")


# -- folders and files -------------------------------------------------------------------------------------------


def test_verify_names_a_folder_as_such(desk: Desk) -> None:
    said = desk.type("verify", str(desk.folder), "--signer", "0" * 40)
    refused(desk, said, f"{desk.folder}: it is a folder")
    refused(desk, desk.type("verify", str(desk.folder)), "it is a folder")
    refused(desk, desk.type("verify", "gone.gpg"), "gone.gpg: there is no such file")


@pytest.mark.parametrize("command", [["check"], ["run"], ["verify", "x.gpg"]], ids=" ".join)
@pytest.mark.parametrize("place", ["", "gone", "empty", "file", "half"])
def test_simulate_says_what_a_fixture_needs(desk: Desk, command: list[str], place: str) -> None:
    (desk.folder / "empty").mkdir()
    (desk.folder / "file").write_text("x")
    (desk.folder / "half").mkdir()
    text = (SCENARIOS / "healthy-three" / "cluster.yaml").read_text()
    (desk.folder / "half" / "cluster.yaml").write_text(text)
    said = refused(desk, desk.type(*command, "--simulate", place), "--simulate", "world.yaml", "cluster.yaml")
    assert place in said and "ctmupgrade init" not in said


@pytest.mark.parametrize(
    "text",
    [
        "archive: {size: " + "9" * 400 + "}\nnodes:\n  - {name: ctm-1}\n",
        "nodes:\n  - {name: ctm-1, times: {ksctl_s: .nan}}\n",
        "nodes:\n  - {name: ctm-1, times: {ksctl_s: .inf}}\n",
        "nodes:\n  - {name: ctm-1, times: {shell_s: 1e18}}\n",
        "nodes:\n  - {name: ctm-1, times: {shell_s: -1e18}}\n",
    ],
)
def test_numbers_of_a_fixture_have_bounds(desk: Desk, text: str) -> None:
    folder = desk.folder / "odd"
    folder.mkdir()
    (folder / "cluster.yaml").write_text((SCENARIOS / "standalone" / "cluster.yaml").read_text())
    (folder / "world.yaml").write_text(text)
    said = desk.type("run", "--yes", "--simulate", str(folder))
    assert said.returncode == 2 and "a number up to" in said.stderr, said.stderr


# -- what is counted and how it ends -----------------------------------------------------------------------------


def test_all_findings_are_counted(desk: Desk) -> None:
    """Not only those that are shown."""
    checked = desk.type("check", scenario="healthy-three").stdout.splitlines()[-1]
    assert checked.startswith("Ready; 3 things to confirm by hand. ")
    passes, total = (int(found) for found in re.findall(r"(\d+) of (\d+) checks pass", checked)[0])
    assert 0 < passes < total
    assert f"\n{checked}\n" in desk.type("run", scenario="healthy-three").stdout
    said = desk.type("stage", "--nodes", "ctm-2", scenario="low-disk").stdout
    line = next(line for line in said.splitlines() if line.startswith("Blocked: 1 thing to fix first. "))
    assert "2 of 3 checks pass, 1 blocking" in line
    assert any(shown.startswith("BLOCK") for shown in said.splitlines())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_who_leaves_is_told_how_to_go_on(go_live: Callable[..., Live], number: signal.Signals) -> None:
    live = go_live(
        nodes=1, more={"clustered": False}, extra="strategy: standalone", times={"upgrade_s": 200.0}
    )
    process = live.start("run", "--yes")
    live.until(process, lambda w: w.nodes["ctm-1"].running, "the upgrade")
    run = live.journals()[-1].parent.name
    process.send_signal(number)
    if number is signal.SIGINT:
        time.sleep(1)
        process.send_signal(number)
    code, said = process.wait(60), (live.folder / "out-0").read_text()
    assert code == 130, said
    assert f"ctmupgrade resume {run}" in said.rstrip().splitlines()[-1], said
    assert "nothing was being changed" not in said


@pytest.mark.parametrize(
    ("events", "brief", "remedy"),
    [
        ([journal.RunPaused("paused as asked", 7)], "run r-1 is paused", "ctmupgrade resume r-1"),
        ([], "what the appliances are doing goes on", "ctmupgrade resume r-1"),
        ([journal.RunEnded("done", {}, "")], "run r-1 has ended: done", "ctmupgrade report r-1"),
    ],
)
def test_who_leaves_when_the_loop_is_over_is_told_where_the_run_stands(
    tmp_path: Path, events: list[journal.Event], brief: str, remedy: str
) -> None:
    """A second Ctrl-C often comes when the run has just paused: "nothing was being changed" was the last line then."""
    run = Drive(make_world(2), tmp_path)
    at = run.world.clock.now()
    state = journal.start(journal.RunStarted("r-1", "c", Mode.LIVE, run.plan(), "ops", 1, "0"), at)
    for event in events:
        state = journal.apply(state, event, at)
    with pytest.raises(Interrupted) as left, told_where_it_stands([state]):
        raise KeyboardInterrupt
    assert brief in left.value.brief and remedy in left.value.remedy
    with pytest.raises(KeyboardInterrupt) as begun, told_where_it_stands([]):
        raise KeyboardInterrupt
    assert not isinstance(begun.value, Interrupted), "no run has begun: nothing was being changed"


# -- this machine's disk and streams -----------------------------------------------------------------------------


@pytest.mark.parametrize("command", [["run"], ["run", "--dry-run"], ["stage"], ["resume"]], ids=" ".join)
def test_a_state_folder_that_takes_nothing(desk: Desk, command: list[str]) -> None:
    (desk.folder / "file").write_text("x")
    said = desk.type(*command, "--state-dir", str(desk.folder / "file" / "state"), scenario="healthy-three")
    complaint = refused(desk, said, "--state-dir", "CTMUPGRADE_STATE_DIR")
    assert "ctmupgrade resume" not in complaint, "there is nothing to resume"


def test_files_that_cannot_be_written(desk: Desk) -> None:
    (desk.folder / "file").write_text("x")
    refused(desk, desk.type("init", "-c", "gone/x.yaml"), "gone/x.yaml: cannot be written")
    for place in ("file", "file/below", "/proc/nowhere/x"):
        said = desk.type("record", place, scenario="healthy-three")
        refused(desk, said, place.removesuffix("/x"), "cannot be written")


SHELL = ">/dev/full", "2>/dev/full", ">&-", "2>&-", ">&- 2>&- <&-"


@pytest.mark.parametrize("where", SHELL)
@pytest.mark.parametrize("words", ["check", "check --format rich", "run", "--help", "--version"])
def test_streams_that_take_nothing(desk: Desk, words: str, where: str) -> None:
    place = f"--simulate {SCENARIOS / 'healthy-three'}" if words[0] != "-" else ""
    said = _shell(desk, f"$PROGRAM {words} {place} {where}")
    assert "Traceback" not in said.stderr and "a bug" not in said.stderr
    if where == ">/dev/full":
        assert said.returncode == 2, said.stderr
        assert "standard output cannot be written to: No space left on device" in said.stderr
    elif where.startswith(">&-") and words != "run":  # a run has its journal; of a look nobody has anything
        assert said.returncode == 2, said.stderr
        assert "standard output cannot be written to: it is closed" in said.stderr or "2>&-" in where
    else:
        assert said.returncode == 0, said.stderr
    if words == "run" and where != ">/dev/full":
        assert desk.ok("status")["state"] == "done"
        assert desk.ok("report", "--verify")["intact"] is True


def _shell(desk: Desk, line: str) -> Done:
    env = {**desk.environ, "CTMUPGRADE_STATE_DIR": str(desk.state), "PROGRAM": str(PROGRAM)}
    return subprocess.run(
        ["bash", "-c", line],
        env=env,
        cwd=desk.folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
