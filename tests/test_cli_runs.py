"""Runs on the command line: what stops, goes on, is decided, reported and locked. The installed program."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ctmupgrade.commands.choose import every_run
from ctmupgrade.commands.request import CommandRequest
from ctmupgrade.commands.runs import new_run_id
from tests.support.desk import SCENARIOS, Desk, has, is_report
from tests.support.live import PROGRAM, Live


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_state_folder_that_cannot_be_listed_is_not_an_empty_one(desk: Desk) -> None:
    """A link in a circle stands for what no user can list."""
    desk.state.symlink_to(desk.state.name)
    for words in (["runs"], ["status"]):
        said = desk.type(*words)
        assert said.returncode not in (0, 70) and "no run" not in said.stdout + said.stderr, said


def test_roots_state_folder_is_not_an_empty_one_for_others() -> None:
    """It belongs to root, so it is trusted, and cannot be listed."""
    folder = Path(tempfile.mkdtemp())  # others may not enter pytest's own
    state = folder / "state"
    state.mkdir()
    folder.chmod(0o711)
    state.chmod(0o700 if os.geteuid() == 0 else 0)
    child = os.fork()
    if child == 0:
        ended = 1
        try:
            if os.geteuid() == 0:
                os.seteuid(65534)
            every_run(CommandRequest(state_dir=state))
        except PermissionError:
            ended = 0
        finally:
            os._exit(ended)
    assert os.waitpid(child, 0)[1] == 0
    state.chmod(0o700)
    shutil.rmtree(folder)


# -- runs and their journals -------------------------------------------------------------------------------------


def _there(desk: Desk, second: str) -> str:
    """A cluster at the target, and what is said of its second node besides."""
    folder = desk.folder / "there"
    folder.mkdir()
    (folder / "cluster.yaml").write_text((SCENARIOS / "healthy-three" / "cluster.yaml").read_text())
    (folder / "world.yaml").write_text(
        "defaults: {version: 2.21.0+15451}\nnodes:\n  - {name: ctm-1}\n"
        f"  - {{name: ctm-2{second}}}\n  - {{name: ctm-3}}\n"
    )
    return str(folder)


def test_at_the_target_nothing_is_done(desk: Desk) -> None:
    said = desk.type("run", "--format", "json", "--simulate", _there(desk, ""))
    assert said.returncode == 0, said.stderr
    last = json.loads(said.stdout.splitlines()[-1])
    assert (last["outcome"], last["steps"]) == ("nothing-to-do", [])


@pytest.mark.parametrize(
    ("second", "says"),
    [
        (", services: {web: error}", "services_started"),
        (", unit: failed", "services_started"),
        (", version: 2.21.0-beta_7+51895", "versions_equal"),
        (", version: 2.21.0-ea1+51000", "versions_equal"),
    ],
)
def test_a_node_that_does_not_work_is_not_verified(desk: Desk, second: str, says: str) -> None:
    said = desk.type("run", "--yes", "--simulate", _there(desk, second))
    assert said.returncode == 3 and says in said.stdout, said.stdout + said.stderr


def test_a_run_stops_after_a_node_or_not_at_all(desk: Desk) -> None:
    said = desk.type("run", "--stop-after", "ctm-1", "--yes", scenario="one-already-upgraded")
    assert said.returncode == 2 and "ctm-2, ctm-3" in said.stderr, said.stderr
    assert "the plan has nothing to do on it" in said.stderr
    said = desk.type("run", "--stop-after", "ctm-2", "--yes", scenario="one-already-upgraded")
    assert said.returncode == 7


@pytest.mark.parametrize(("node", "others"), [("ctm-1", {"ctm-2", "ctm-3"}), ("ctm-2", {"ctm-3"})])
def test_a_rebuild_stops_after_a_node(desk: Desk, node: str, others: set[str]) -> None:
    said = desk.type("run", "--stop-after", node, "--yes", "--format", "json", scenario="rebuild-three")
    assert said.returncode == 7, said.stderr
    steps = {one["id"]: one["status"] for one in json.loads(said.stdout.splitlines()[-1])["steps"]}
    assert not [name for name in others if steps[f"join:{name}"] != "pending"], steps
    assert desk.type("resume", "--yes", scenario="rebuild-three").returncode == 0


def test_runs_of_the_same_second_sort_by_their_beginning(tmp_path: Path) -> None:
    """`stage` and then `run` may begin within one: the one named by nobody is the later."""
    made = []
    for _ in range(40):
        made.append(new_run_id(tmp_path))
        time.sleep(0.002)
    assert made == sorted(made)
    assert len({len(run) for run in made}) == 1


def test_pause_resume_and_abort(desk: Desk) -> None:
    said = desk.type("run", "--stop-after", "ctm-1", scenario="healthy-three")
    assert said.returncode == 7
    run = desk.journal.parent.name
    assert f"ctmupgrade resume {run}" in said.stdout
    document = desk.ok("status")
    assert (document["state"], document["outcome"]) == ("paused", None), "it has no outcome yet"
    assert "nothing to pause" in desk.ok("pause")["said"]
    said = desk.type("resume", run, scenario="healthy-three")
    assert said.returncode == 0, said.stdout + said.stderr
    assert desk.ok("status")["state"] == "done"
    assert desk.type("abort").returncode == 2, "it has ended already"
    desk.type("run", "--stop-after", "ctm-1", scenario="healthy-three")
    assert "is aborted" in desk.ok("abort")["said"]
    assert desk.ok("status")["state"] == "aborted"
    assert desk.type("resume", scenario="healthy-three").returncode == 2


@pytest.mark.parametrize("written", [b"", b'{"event": {"type": "run-st'], ids=["nothing", "half a line"])
def test_a_process_that_died_before_its_first_line_left_no_run(desk: Desk, written: bytes) -> None:
    """It has changed nothing, and must not stand in the way of the run that is to be gone on with."""
    assert desk.type("run", "--stop-after", "ctm-1", scenario="healthy-three").returncode == 7
    run = desk.journal.parent
    dead = run.parent / "29991231T235959-abcdef0"
    dead.mkdir(0o700)
    (dead / "journal.jsonl").touch(0o600)
    (dead / "journal.jsonl").write_bytes(written)
    assert desk.ok("status")["run"] == run.name
    assert [one["run"] for one in desk.ok("runs")["runs"]] == [run.name]
    assert desk.type("status", dead.name).returncode == 2
    assert desk.type("resume", scenario="healthy-three").returncode == 0
    assert desk.ok("status")["state"] == "done"


@pytest.mark.parametrize("decision", ["retry", "skip", "done"])
def test_a_decision_on_a_stuck_node(desk: Desk, decision: str) -> None:
    scenario = "upgrade-fails-on-node-2"
    assert desk.type("run", scenario=scenario).returncode == 5
    document = desk.ok("status")
    assert (document["state"], document["outcome"]) == ("failed", "failed")
    run = desk.journal.parent.name
    assert desk.type("node", decision, run, "nobody", "--reason", "x").returncode == 2
    assert desk.type("node", decision, run, "ctm-2", "--reason", " ").returncode == 2
    document = desk.ok("node", decision, run, "ctm-2", "--reason", "looked at it")
    has(document, "node", "decision", "said")
    decisions = desk.ok("report")["decisions"]
    assert [d for d in decisions if "ctm-2" in d and decision in d and "looked at it" in d]
    code = desk.type("resume", scenario=scenario).returncode
    assert code in {"retry": (0,), "skip": (9,), "done": (0, 5, 6, 9)}[decision]
    assert desk.type("report", "--verify").returncode == 0


def test_a_plan_file_is_run_or_refused(desk: Desk) -> None:
    assert desk.type("plan", "-o", "plan.json", scenario="healthy-three").returncode == 0
    kept = json.loads((desk.folder / "plan.json").read_text())
    said = desk.type("run", "--plan", "plan.json", scenario="healthy-three")
    assert said.returncode == 0, said.stderr
    assert json.loads(desk.journal.read_text().splitlines()[0])["event"]["plan"]["id"] == kept["id"]
    stale = desk.type("run", "--plan", "plan.json", scenario="one-already-upgraded")
    assert stale.returncode == 3
    assert "stale" in stale.stderr
    assert "2.21.0" in stale.stderr, "what changed is named"
    for text in ("", "{}", "[1]", "not JSON", '{"schema": 99}', "\x00"):
        (desk.folder / "bad.json").write_text(text)
        said = desk.type("run", "--plan", "bad.json", scenario="healthy-three")
        assert (said.returncode, "bad.json" in said.stderr) == (2, True), said.stderr
    said = desk.type("run", "--plan", "gone.json", scenario="healthy-three")
    assert (said.returncode, "gone.json" in said.stderr) == (2, True), said.stderr


def _changed(lines: list[str]) -> tuple[list[str], int]:
    return [*lines[:4], lines[4].replace('"event":', '"event": ', 1), *lines[5:]], 5


def _removed(lines: list[str]) -> tuple[list[str], int]:
    return lines[:4] + lines[5:], 5


def _reordered(lines: list[str]) -> tuple[list[str], int]:
    return [*lines[:4], lines[5], lines[4], *lines[6:]], 5


@pytest.mark.parametrize("spoil", [_changed, _removed, _reordered])
def test_a_spoiled_journal_is_noticed(
    desk: Desk, spoil: Callable[[list[str]], tuple[list[str], int]]
) -> None:
    desk.type("run", scenario="healthy-three")
    assert desk.ok("report", "--verify")["intact"] is True
    lines, number = spoil(desk.journal.read_text().splitlines())
    desk.journal.write_text("\n".join(lines) + "\n")
    document = desk.ok("report", "--verify", code=5)
    assert document["intact"] is False
    said = desk.type("report", "--verify")
    assert said.returncode == 5
    assert any(f"line {n}" in said.stdout or f":{n}:" in said.stdout for n in (number, number + 1)), (
        said.stdout
    )


@pytest.mark.parametrize(
    "more", [["--verify"], ["--bundle", "b.tar.gz"], ["--live", "l.html"], ["--head", "a" * 64]]
)
def test_a_report_does_one_thing_at_a_time(tmp_path: Path, more: list[str]) -> None:
    """TRIAL B19: --verify -o FILE wrote no file and did not say so."""
    desk = Desk(tmp_path)
    said = desk.type("report", *more, "-o", "done.json")
    assert said.returncode == 2 and "one thing at a time" in said.stderr and "-o" in said.stderr
    assert not list(tmp_path.glob("*.json")) and not list(tmp_path.glob("*.html"))


def test_reports_as_files(desk: Desk) -> None:
    desk.type("run", scenario="healthy-three")
    for name, start in (("r.md", "#"), ("r.html", "<!doctype html>"), ("r.json", "{")):
        said = desk.type("report", "-o", name)
        assert said.returncode == 0, said.stderr
        text = (desk.folder / name).read_text()
        assert text.lower().lstrip().startswith(start)
        assert "2.21.0+15451" in text
    is_report(json.loads((desk.folder / "r.json").read_text()))
    assert desk.type("report", "-o", "no/such/folder/r.md").returncode == 2
    for words in (("report", "-o", "-"), ("report", "--bundle", "-")):
        said = desk.type(*words)
        assert said.returncode == 2 and f"leave {words[1]} away" in said.stderr
    assert not list(desk.folder.glob("-*"))
    assert desk.type("report", "no-such-run").returncode == 2


def test_a_reader_that_goes_away(desk: Desk) -> None:
    argv = [str(PROGRAM), "plan", "--simulate", str(SCENARIOS / "healthy-twenty")]
    made = subprocess.Popen(argv, env=desk.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert made.stdout is not None
    made.stdout.close()
    assert made.stderr is not None
    said = made.stderr.read()
    assert "Traceback" not in said
    assert "a bug" not in said
    assert made.wait(60) == 141


def test_a_bug_leaves_a_log_file(desk: Desk) -> None:
    """A list where a world wants a number: nobody complains, something breaks. The nearest thing to a bug."""
    folder = desk.folder / "strict"
    folder.mkdir()
    (folder / "cluster.yaml").write_text((SCENARIOS / "healthy-three" / "cluster.yaml").read_text())
    (folder / "world.yaml").write_text(
        "start: 2026-01-10T21:00:00+00:00\nnodes: [{name: ctm-1, free_gib: []}]\n"
    )
    said = desk.type("check", "--simulate", str(folder))
    if said.returncode == 2:
        pytest.skip("no bug is known that could be provoked")
    assert said.returncode == 70, said.stderr
    log = Path(next(w for w in said.stderr.split() if "ctmupgrade-bug-" in w))
    assert "Traceback" in log.read_text()
    assert "Traceback" not in said.stderr


# -- one run at a time -------------------------------------------------------------------------------------------


def test_a_second_process_is_locked_out(go_live: Callable[..., Live]) -> None:
    """A held process keeps the lock; a killed one leaves an unfinished run, which is named."""
    live = go_live(
        nodes=1, more={"clustered": False}, extra="strategy: standalone", times={"upgrade_s": 200.0}
    )
    process = live.start("run", "--yes")
    live.until(process, lambda w: w.nodes["ctm-1"].running, "the upgrade")
    run = live.journals()[-1].parent.name
    os.kill(process.pid, signal.SIGSTOP)
    for words in (["run", "--yes"], ["resume"]):
        said = live.run(*words)
        assert said.returncode == 8, said.stdout + said.stderr
        assert run in said.stderr
        assert f"pid {process.pid}" in said.stderr
        assert "since 20" in said.stderr
    assert json.loads(live.run("status", "--format", "json").stdout)["process_running"] is True
    assert "is pending" in live.run("pause").stdout
    live.kill(process)
    said = live.run("run", "--yes")
    assert said.returncode == 3, said.stdout + said.stderr
    assert run in said.stderr
    assert f"ctmupgrade resume {run}" in said.stderr
    assert "abort" in said.stderr
    assert len(live.kinds("upgrade_started")) == 1


@pytest.mark.parametrize("named", [["-c", "prod-e.yaml"], ["--simulate", "no-such-fixture"]])
def test_a_file_that_was_named_and_is_not_there_is_not_every_cluster(desk: Desk, named: list[str]) -> None:
    """``abort -c prod-e.yaml``, mistyped, would end the latest run of another cluster."""
    desk.type("run", "--yes", scenario="upgrade-fails-on-node-2")
    before = desk.journal.read_bytes()
    for words in (
        ["abort"],
        ["abort", "latest"],
        ["node", "skip", "latest", "ctm-2", "--reason", "x"],
        ["status"],
    ):
        refused = desk.ok(*words, *named, code=2)["error"]
        assert named[1] in refused["brief"], refused
    assert desk.journal.read_bytes() == before
    run = desk.journal.parent.name
    assert desk.ok("status", run, *named)["run"] == run, "a run that is named in full needs no file"
