"""A run without a terminal: few lines, each with what matters, and a heartbeat; and what ``status`` and ``watch`` tell others."""

from __future__ import annotations

import fcntl
import json
import os
import re
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ctmupgrade.adapters.disk.journal_file import read_journal
from ctmupgrade.adapters.disk.progress_file import read_progress, write_progress
from ctmupgrade.adapters.disk.run_store import RunFolder, state_of
from ctmupgrade.commands.request import CommandRequest
from ctmupgrade.commands.status import standing_of
from ctmupgrade.commands.watch import follow
from ctmupgrade.core.model import Window
from ctmupgrade.core.overview.activity import Activities, Activity, Doing
from ctmupgrade.core.overview.overview import Overview
from ctmupgrade.core.run import journal
from ctmupgrade.core.ticks import Waiting
from ctmupgrade.render.plain_watch import PlainWatch
from tests.support.desk import Desk

JOURNALS = Path(__file__).parent / "journals"
HASH = re.compile(r"\b[0-9a-f]{16,}\b|\binode|size_inode")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


# -- lines -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_twenty_nodes_in_less_than_four_hundred_lines(desk: Desk) -> None:
    ran = desk.type("run", "--yes", scenario="healthy-twenty")
    lines = ran.stdout.splitlines()
    assert ran.returncode == 0 and len(lines) < 400
    assert not [line for line in lines if HASH.search(line) and "journal:" not in line]
    upgraded = [
        line for line in lines if re.search(r"\+\d+:\d\d:\d\d upgrade:ctm-\d+ done after 20 min", line)
    ]
    assert len(upgraded) == 20 and re.search(r"stage:ctm-1 \d+ %, 36 MB/s, .* and 17 more", ran.stdout)
    recap = [line for line in lines if "-> 2.21.0+15451  done, out of service for 27 min" in line]
    assert len(recap) == 20 and recap == lines[-21:-1]
    assert "20 nodes: nothing is worse than before the run" in ran.stdout


def test_a_heart_beats_where_nothing_else_is_said(tmp_path: Path) -> None:
    state = state_of(read_journal(JOURNALS / "healthy-three" / "journal.jsonl")[0])
    step = next(
        s.id for s in state.plan.steps if s.id.startswith("upgrade:") and not state.steps[s.id].started
    )
    said: list[str] = []
    now = [state.at]
    watch = PlainWatch(said.extend, lambda: now[0], Activities(Window()))
    live = replace(state, paused="")
    begun = journal.apply(live, journal.StepStarted(step, {}), now[0])
    watch(begun, journal.StepStarted(step, {}), "", None)
    now[0] += timedelta(minutes=12)
    until = now[0] + timedelta(hours=2)
    watch(begun, None, step, Waiting(5.0, "ks_upgrade.sh runs; last line: migrating", state.at, until))
    count = len(said)
    watch.beat()
    assert len(said) == count, "something was said within the last minute"
    watch._last -= 61
    with watch.aside():
        watch.beat()
        assert len(said) == count, "a question is being asked"
    watch.beat()
    assert len(said) == count + 1
    assert f"goes on: {step} for 12 min, usually 20 min: ks_upgrade.sh runs; last line: migrating" in said[-1]
    assert "gives up" not in said[-1]
    ended = journal.apply(begun, journal.RunPaused("as asked", 7), now[0])
    watch(ended, journal.RunPaused("as asked", 7), "", None)
    watch._last -= 61
    count = len(said)
    watch.beat()
    assert len(said) == count, "nothing goes on any more"


# -- status and watch --------------------------------------------------------------------------------------------


class Elsewhere:
    """A run as another process leaves it: a journal that grows, the lock, and the small file beside it."""

    def __init__(self, folder: Path, name: str = "healthy-three") -> None:
        self.text = (JOURNALS / name / "journal.jsonl").read_bytes().splitlines(keepends=True)
        run = json.loads(self.text[0])["event"]["run"]
        self.state_dir = folder / "state"
        self.folder = RunFolder(self.state_dir / name / run)
        self.folder.path.mkdir(parents=True, mode=0o700)
        self.request = CommandRequest(state_dir=self.state_dir, cluster=folder / "none.yaml")
        self.lines = 0
        self.held = -1

    def write(self, lines: int) -> None:
        with self.folder.journal.open("ab") as file:
            file.write(b"".join(self.text[self.lines : self.lines + lines]))
        self.folder.journal.chmod(0o600)
        self.lines += lines

    def hold(self) -> None:
        self.held = os.open(self.folder.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self.held, fcntl.LOCK_EX)

    def let_go(self) -> None:
        os.close(self.held)

    @property
    def waits_on(self) -> str:
        state = self.folder.state()
        return next(s.id for s in state.plan.steps if state.steps[s.id].status == "started")

    def says(self, what: str, by: str = "op@elsewhere", at: datetime | None = None) -> None:
        state = self.folder.state()
        at = at or state.at + timedelta(minutes=12)
        said = Activity(what, state.at, at, at + timedelta(hours=2))
        write_progress(self.folder.progress, Doing({self.waits_on: said}, Window(), at, by))


@pytest.fixture
def other(tmp_path: Path) -> Elsewhere:
    """A run in the middle of the first node's upgrade, with a process that runs it."""
    made = Elsewhere(tmp_path)
    made.write(10)
    while made.folder.state().steps["upgrade:ctm-1"].status != "started":
        made.write(1)
    made.hold()
    made.says("ks_upgrade.sh runs; last line: migrating the database")
    return made


def _status(desk: Desk, other: Elsewhere, *words: str, columns: int = 80) -> str:
    return desk.type("status", "--state-dir", str(other.state_dir), *words, COLUMNS=str(columns)).stdout


def test_status_is_one_screen_that_tells_all(desk: Desk, other: Elsewhere) -> None:
    said = _status(desk, other)
    assert len(said.splitlines()) < 24
    for part in (
        "state      running", "since      2026-", "(", ", by ", "versions   from 2.20.0+15016 to 2.21.0",
        "progress   step ", " of 28, 0 of 3 nodes done, 1 in work, 2 waiting", "end        about ", ", at worst ",
        "cluster    2 of 3 nodes in service (out: ctm-1); all were ready and connected at ",
        "waits for  ctm-1: upgrading for 12 min, usually 20 min; ks_upgrade.sh runs; last line: migrating the database",
        "last       ", "a process runs it now",
    ):  # fmt: skip
        assert part in said, said
    assert not HASH.search(said)
    document = json.loads(_status(desk, other, "--format", "json"))
    progress = document["progress"]
    assert document["process_running"] is True and progress["elapsed_s"] > 720 and progress["steps"] == 28
    waits = progress["waits_for"][0]
    assert (waits["node"], waits["step"], waits["elapsed_s"], waits["usual_s"]) == (
        "ctm-1",
        "upgrade:ctm-1",
        720,
        1200,
    )
    assert waits["said"]["text"].endswith("migrating the database")
    assert progress["left"]["expected_end"] < progress["left"]["worst_end"] != waits["said"]["gives_up"]
    assert progress["health"]["out_of_service"] == ["ctm-1"] and progress["nodes_waiting"] == 2


def test_a_run_without_a_process_is_not_called_running(desk: Desk, other: Elsewhere) -> None:
    other.let_go()
    state = other.folder.state()
    other.says("it says nothing any more", by=f"op@{os.uname().nodename}", at=state.at)
    said = _status(desk, other)
    assert "not running: its process has gone" in said and "no process runs it" in said
    assert said.splitlines()[0].endswith("(SIMULATED): interrupted"), said
    assert "interrupted" in desk.type("runs").stdout, "nor is it running in the list of runs"
    assert "waits for" not in said and "of work is left" in said and "at worst" not in said


def test_watch_ends_with_how_to_go_on(desk: Desk, other: Elsewhere) -> None:
    """Its process is gone: "pausing" alone would be a promise that nobody keeps."""
    other.let_go()
    state = other.folder.state()
    other.says("it says nothing any more", by=f"op@{os.uname().nodename}", at=state.at)
    said = desk.type("watch", "--state-dir", str(other.state_dir)).stdout
    assert f"no process runs it: ctmupgrade resume {state.run}" in said.splitlines()[-1]


def test_a_run_of_another_machine_goes_on_although_its_lock_is_not_seen(desk: Desk, other: Elsewhere) -> None:
    other.let_go()
    said = _status(desk, other)
    assert "a process of op@elsewhere runs it" in said and "waits for  ctm-1: upgrading for 12 min" in said
    assert json.loads(_status(desk, other, "--format", "json"))["process_running"] is False


def test_what_others_write_beside_a_journal_is_not_believed(other: Elsewhere) -> None:
    assert read_progress(other.folder.progress).activities
    for wrong in (b"", b"[]", b"{", b'{"activities": 1}', b"\xff", b'{"at": "yesterday"}'):
        other.folder.progress.write_bytes(wrong)
        assert read_progress(other.folder.progress) == Doing(), wrong
        assert standing_of(other.request, None, None).view.alive
    other.says("x")
    other.folder.progress.chmod(0o666)
    assert read_progress(other.folder.progress) == Doing(), "anybody could have written it"


def test_watch_tells_what_was_and_what_comes_until_it_pauses(other: Elsewhere) -> None:
    events: list[journal.Event] = []
    views: list[Overview] = []

    def sleep(_seconds: float) -> None:
        other.write(3)

    state = follow(
        other.request, None, None, lambda _s, e, _k, _t: events.append(e) if e else None, sleep, views.append
    )
    assert len(events) == len(other.text) and state.paused
    assert views[0].waits[0][1].activity is not None and views[0].alive and not views[-1].waits


def test_watch_ends_where_no_process_is_left(other: Elsewhere) -> None:
    other.folder.progress.unlink()

    def sleep(_seconds: float) -> None:
        other.let_go()

    views: list[Overview] = []
    follow(other.request, None, None, lambda *_: None, sleep, views.append)
    assert [view.alive for view in views] == [True, False]


def test_a_run_keeps_its_progress_for_others(desk: Desk) -> None:
    assert desk.type("run", "--yes", scenario="healthy-three").returncode == 0
    file = desk.journal.parent / "progress.json"
    kept = read_progress(file)
    assert kept.at is not None and not kept.activities and (file.stat().st_mode & 0o777) == 0o600
    assert "done" in desk.type("status").stdout


def test_a_run_does_not_mind_that_its_progress_cannot_be_kept(tmp_path: Path) -> None:
    write_progress(tmp_path / "no folder" / "progress.json", Doing(at=datetime.now().astimezone()))
    (tmp_path / "progress.json").mkdir()
    write_progress(tmp_path / "progress.json", Doing(at=datetime.now().astimezone()))
