"""What is said, and what is only said: dry runs of requests, nodes that were left out, late windows, foreign texts."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ctmupgrade.sim import Fault
from tests.support.desk import SCENARIOS, Desk
from tests.support.live import Live


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def varied(tmp_path: Path, scenario: str, *, world: str = "", cluster: str = "") -> str:
    """A scenario with more in its two files."""
    folder = tmp_path / f"varied-{scenario}"
    shutil.copytree(SCENARIOS / scenario, folder)
    for name, more in (("world.yaml", world), ("cluster.yaml", cluster)):
        with (folder / name).open("a", encoding="utf-8") as file:
            file.write(more)
    return str(folder)


def test_a_dry_run_of_a_request_changes_nothing(desk: Desk) -> None:
    """ "`--dry-run` wins over everything", so also over what stops or decides a run for good."""
    assert desk.type("run", scenario="upgrade-fails-on-node-2").returncode == 5
    before, run = desk.journal.read_bytes(), desk.journal.parent.name
    for words in (
        ["pause"], ["abort"], *(["node", one, run, "ctm-2", "--reason", "x"] for one in ("retry", "skip", "done")),
    ):  # fmt: skip
        said = desk.type(*words, "--dry-run")
        assert said.returncode == 0, said.stderr
        assert said.stdout.startswith("DRY-RUN: ")
        assert "nothing was changed" in said.stdout
        assert desk.ok(*words, "--dry-run")["mode"] == "DRY-RUN"
    assert desk.type("node", "skip", run, "nobody", "--reason", "x", "--dry-run").returncode == 2
    assert desk.journal.read_bytes() == before
    assert list(desk.journal.parent.glob("requests*")) == []
    assert desk.ok("status")["state"] == "failed"


def test_init_says_its_one_document(desk: Desk) -> None:
    assert desk.ok("init", "-c", "made.yaml")["file"] == "made.yaml"
    assert (desk.folder / "made.yaml").exists()
    assert desk.ok("init", "-c", "other.yaml", "--dry-run")["mode"] == "DRY-RUN"
    assert not (desk.folder / "other.yaml").exists()


def test_a_node_that_was_left_behind_is_named_at_the_end(desk: Desk) -> None:
    """A run that has ended must not be read as a cluster that is upgraded."""
    assert desk.type("run", scenario="upgrade-fails-on-node-2").returncode == 5
    run = desk.journal.parent.name
    desk.type("node", "skip", run, "ctm-2", "--reason", "its disk is replaced on Monday")
    said = desk.type("resume", scenario="upgrade-fails-on-node-2")
    assert said.returncode == 9, said.stdout + said.stderr
    assert "NOT at 2.21.0: ctm-2 is still on 2.20.0" in said.stdout
    said = desk.type(
        "run", "--nodes", "ctm-1", scenario="healthy-three", CTMUPGRADE_STATE_DIR=str(desk.folder / "other")
    )
    assert said.returncode == 0, said.stdout
    assert said.stdout.count("NOT at 2.21.0: ctm-") == 2


def test_a_window_that_is_too_late_stops_before_the_uploads(desk: Desk, tmp_path: Path) -> None:
    place = varied(tmp_path, "healthy-three", cluster="window: {finish_by: 2026-01-10T21:10:00+00:00}\n")
    said = desk.type("run", "--yes", scenario=place)
    assert said.returncode == 7, said.stdout
    assert "no room for ctm-1" in said.stdout
    report = desk.ok("report")
    assert report["state"] == "paused"
    assert {s["status"] for s in report["steps"]} == {"pending"}


def test_a_node_that_is_off_is_unreachable_not_a_firewalls_fault(desk: Desk, tmp_path: Path) -> None:
    """What the others cannot reach there follows from it."""
    off = "faults:\n  - {kind: power_loss, node: ctm-3}\n  - {kind: reboot_never_ends, node: ctm-3}\n"
    place = varied(tmp_path, "healthy-three", world=off)
    found = desk.ok("check", scenario=place, code=4)["findings"]
    blocked = {f["summary"] for f in found if f["check"] == "port_5432_open" and f["verdict"] == "block"}
    assert blocked == {"cannot reach 10.0.0.13:5432 (ctm-3)"}, "or this test shows nothing"
    assert "port_5432_open" not in desk.type("check", scenario=place).stdout


TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZG1pbiJ9.c2lnbmF0dXJl"


@pytest.mark.parametrize("command", ["check", "run --yes"])
def test_what_a_node_says_moves_no_cursor_and_holds_no_token(
    desk: Desk, tmp_path: Path, command: str
) -> None:
    words = rf"\e[H\e[2Jboom \e]0;title\a Authorization: Bearer {TOKEN} bearer abcdef0123456789"
    fault = f'faults:\n  - {{kind: reply, command: services status, code: 1, times: 0, out: "", err: "{words}"}}\n'
    place = varied(tmp_path, "healthy-three", world=fault)
    for form in ("plain", "json"):
        said = desk.type(*command.split(), "--format", form, "-v", scenario=place)
        assert said.returncode in (3, 5), said.stdout + said.stderr
        everything = said.stdout + said.stderr
        assert "boom" in everything, "or this test shows nothing"
        for bad in ("\x1b", "\\u001b", "\x07", TOKEN, "abcdef0123456789"):
            assert bad not in everything, bad


def test_another_run_is_seen_before_a_node_that_it_reboots(go_live: Callable[..., Live]) -> None:
    """The other run's node is away: `stage` must say who holds the lock, not that a node does not answer."""
    live = go_live(nodes=2, times={"upgrade_s": 40.0, "reboot_s": 400.0})
    process = live.start("run", "--yes")
    live.until_step(process, "reboot:ctm-1")
    for words in (["stage", "--yes"], ["backup", "--yes"]):
        said = live.run(*words)
        assert said.returncode == 8, said.stdout + said.stderr
        assert "the cluster is locked by" in said.stderr
    live.kill(process)


def test_an_upgrade_that_failed_before_is_told_of(go_live: Callable[..., Live]) -> None:
    """After `abort` no run knows of it any more: its log does."""
    live = go_live(nodes=1, more={"clustered": False}, extra="strategy: standalone")
    live.world.inject(Fault("upgrade_fails", params={"at": "middle", "text": "database migration failed"}))
    assert live.run("run", "--yes").returncode == 5
    assert live.run("abort").returncode == 0
    said = live.run("check")
    assert "MANUAL  no_reboot_pending: ctm-1: its last upgrade has no success line" in said.stdout, (
        said.stdout
    )


def test_a_shell_that_greets_is_no_other_run(go_live: Callable[..., Live]) -> None:
    """A warning before each command's output must not read as the mark of a run called "***"."""
    live = go_live(nodes=1, more={"clustered": False}, extra="strategy: standalone")
    greets = {"command": "ls -1 .ctmupgrade-run", "code": 0, "out": "*** Authorised use only ***\n"}
    live.world.inject(Fault("reply", times=0, params=greets))
    said = live.run("run", "--yes")
    assert "run ***" not in said.stdout + said.stderr
    assert said.returncode == 0, said.stdout + said.stderr


def test_a_wait_that_only_counts_on_is_told_once(tmp_path: Path) -> None:
    """In a rebuild a node's services must be up for a while before its join: the seconds go up at every look."""
    desk = Desk(tmp_path)
    ran = desk.type("run", "--yes", "--format", "plain", scenario="rebuild-two")
    waits = [line for line in ran.stdout.splitlines() if "before the join: its services are started" in line]
    assert len(waits) == 1, waits
