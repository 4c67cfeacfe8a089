"""A rehearsal that runs is left alone by every other command of its state folder, and leaves live runs alone."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ctmupgrade.adapters.disk.run_store import is_running
from ctmupgrade.commands import recover
from ctmupgrade.commands.run import RunOptions
from ctmupgrade.commands.runs import hold, place_of
from ctmupgrade.errors import LockedError
from tests.support import broken
from tests.support.desk import SCENARIOS, Desk
from tests.support.live import PROGRAM

SCENARIO = "healthy-three"
WHOLE = 120  # seconds in which the rehearsal gets to its first reboot, on any machine


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def living(desk: Desk) -> Iterator[subprocess.Popen[bytes]]:
    """A rehearsal that has rebooted one node, and stands still: it holds what it holds for as long as a test needs."""
    argv = [str(PROGRAM), "run", "--yes", "--pace", "1000x", "--simulate", str(SCENARIOS / SCENARIO)]
    environ = {**desk.environ, "CTMUPGRADE_STATE_DIR": str(desk.state)}
    with subprocess.Popen(
        argv, env=environ, cwd=desk.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    ) as process:
        try:
            until = time.monotonic() + WHOLE
            while not _rebooted(desk) and process.poll() is None and time.monotonic() < until:
                time.sleep(0.02)
            process.send_signal(signal.SIGSTOP)
            assert _rebooted(desk) and process.poll() is None
            yield process
        finally:
            process.kill()


def _rebooted(desk: Desk) -> bool:
    for journal in desk.state.glob("*/*/journal.jsonl"):
        whole = [line for line in journal.read_text().splitlines(keepends=True) if line.endswith("\n")]
        events = [json.loads(line)["event"] for line in whole]
        if any(e["kind"] == "step-done" and e["step"] == "reboot:ctm-1" for e in events):
            return True
    return False


def _journals(desk: Desk) -> dict[str, str]:
    return {path.parent.name: path.read_text() for path in desk.state.glob("*/*/journal.jsonl")}


@pytest.mark.parametrize(
    "words",
    [["run", "--yes"], ["recover", "--yes"], ["resume", "--yes"], ["stage"], ["backup"]],
    ids=lambda words: str(words[0]),
)
def test_nothing_else_changes_the_cluster_that_a_rehearsal_changes(
    desk: Desk, living: subprocess.Popen[bytes], words: list[str]
) -> None:
    before = _journals(desk)
    said = desk.type(*words, scenario=SCENARIO)
    assert said.returncode == 8, said.stdout + said.stderr
    (run,) = before
    assert (
        "the simulated cluster is locked by" in said.stderr
        and f"(pid {living.pid}), run {run}" in said.stderr
    )
    assert "--state-dir DIR" in said.stderr
    assert _journals(desk) == before


def test_recover_takes_no_place_of_a_rehearsal_that_began_after_its_look(tmp_path: Path) -> None:
    found = broken.case("unclustered-node")
    with broken.recovery(found, tmp_path) as (made, world, read):
        with hold(place_of(made), "20260110T210000-0000000"), pytest.raises(LockedError):
            recover.perform(made, RunOptions(), read, confirmed=True)
        assert not world.changes() and not list(tmp_path.glob("*/*/journal.jsonl"))


def test_who_looks_is_told_of_the_rehearsal_that_runs(desk: Desk, living: subprocess.Popen[bytes]) -> None:
    assert living.poll() is None
    said = desk.type("recover", scenario=SCENARIO)
    assert said.returncode == 6 and "a run works on this cluster now" in said.stdout
    assert desk.type("run", "--dry-run", scenario=SCENARIO).returncode == 0


def test_a_rehearsal_keeps_no_live_run_out(desk: Desk, living: subprocess.Popen[bytes]) -> None:
    (home,) = (path for path in desk.state.iterdir() if path.is_dir())
    assert living.poll() is None and not is_running(home)


def test_a_live_run_keeps_no_rehearsal_out(desk: Desk) -> None:
    assert desk.type("run", "--dry-run", scenario=SCENARIO).returncode == 0
    (home,) = (path for path in desk.state.iterdir() if path.is_dir())
    descriptor = os.open(home / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        assert desk.type("run", "--yes", scenario=SCENARIO).returncode == 0
    finally:
        os.close(descriptor)


def test_another_state_folder_is_another_rehearsal(
    desk: Desk, living: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    assert living.poll() is None
    said = desk.type("run", "--yes", "--state-dir", str(tmp_path / "other"), scenario=SCENARIO)
    assert said.returncode == 0, said.stderr


def test_a_rehearsal_that_was_killed_is_resumed(desk: Desk, living: subprocess.Popen[bytes]) -> None:
    living.kill()
    living.wait()
    said = desk.type("resume", "--yes", scenario=SCENARIO)
    assert said.returncode == 0, said.stdout + said.stderr
    assert len(_journals(desk)) == 1


def test_a_journal_of_a_living_rehearsal_is_not_set_aside(
    desk: Desk, living: subprocess.Popen[bytes]
) -> None:
    """Where it cannot be read, nothing but the run's own lock says that a process writes to it."""
    (journal,) = desk.state.glob("*/*/journal.jsonl")
    with journal.open("r+b") as file:
        file.write(b"x")
    said = desk.type("abort", journal.parent.name, scenario=SCENARIO)
    assert living.poll() is None
    assert said.returncode == 8, said.stdout + said.stderr
    assert journal.is_file() and not list(journal.parent.glob("*.broken-*"))


def test_a_dry_resume_makes_nothing_and_is_told_of_who_runs(
    desk: Desk, living: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    assert living.poll() is None
    assert desk.type("resume", "--dry-run", scenario=SCENARIO).returncode == 8
    elsewhere = tmp_path / "elsewhere"
    said = desk.type("resume", "--dry-run", "--state-dir", str(elsewhere), scenario=SCENARIO)
    assert said.returncode == 2 and "nothing to resume" in said.stderr
    assert not elsewhere.exists()
