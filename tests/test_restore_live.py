"""``restore`` of the installed program over real SSH and a real ksctl process: killed, resumed, refused."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.support.live import KEY_PASSWORD, NAME, PASSWORD, Live
from tests.support.lost_cluster import USERS, lose, whole

GoLive = Callable[..., Live]
TIMES = {"join_s": 20.0, "restore_s": 30.0, "removed_s": 1.0, "start_s": 10.0, "backup_s": 2.0}


def _lost(go_live: GoLive, count: int = 3) -> Live:
    nodes = [
        {"name": f"ctm-{i}", "users": USERS, "ntp": {"servers": [f"time{i}.example.com"]}, "backup_keys": [{"id": f"key-{i}"}]}
        for i in range(1, count + 1)
    ]  # fmt: skip
    live = go_live(more={"nodes": nodes, "keys": {"data-main": 1200}}, times=TIMES)
    made = live.run("backup")
    assert made.returncode == 0, made.stdout + made.stderr
    with live.fleet.lock:
        lose(live.world)
    return live


def test_a_lost_cluster_comes_back(go_live: GoLive) -> None:
    live = _lost(go_live, 2)
    (
        live.folder / NAME
    ).unlink()  # a new laptop: neither the archive nor its keyring is there, and nobody needs them
    (live.folder / "vendor.asc").unlink()
    done = live.run("restore", "--yes", "--on", "ctm-1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "LOST: what clients wrote" in done.stdout
    assert "ERASES all data of ctm-1: restore:ctm-1" in done.stdout
    with live.fleet.lock:
        assert whole(live.world) == [] and not live.world.of_kind("restore_disturbed")
    assert PASSWORD not in done.stdout + done.stderr and KEY_PASSWORD not in done.stdout + done.stderr


@pytest.mark.slow
def test_a_lost_cluster_comes_back_although_the_restore_is_killed(go_live: GoLive) -> None:
    live = _lost(go_live)
    looked = live.run("restore", "--dry-run", "--format", "json")
    assert looked.returncode == 0 and not live.changes(), looked.stdout + looked.stderr
    killed = live.start("restore", "--yes", "--on", "ctm-2")
    live.until(killed, lambda world: world.of_kind("restore_started"), "the restore")
    live.kill(killed)
    (live.folder / NAME).unlink()
    again = live.run("restore", "--yes")
    assert again.returncode == 3 and "ctmupgrade resume" in again.stderr, again.stderr
    done = live.run("resume", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    with live.fleet.lock:
        assert whole(live.world) == []
        assert [e.node for e in live.world.of_kind("restore_started")] == ["ctm-2"]
        assert not live.world.of_kind("restore_disturbed") and not live.world.of_kind(
            "secret_on_command_line"
        )
    report = live.report()
    assert report["outcome"] == "done" and report["mode"] == "LIVE"
    assert "restore" in live.run("runs").stdout
    texts = [path.read_text(errors="replace") for path in live.state.rglob("*") if path.is_file()]
    assert not [
        text for text in (*texts, done.stdout, done.stderr) if PASSWORD in text or KEY_PASSWORD in text
    ]


@pytest.mark.slow
def test_refusals_are_documents_too_and_nothing_is_changed(go_live: GoLive) -> None:
    live = go_live(times=TIMES)
    assert live.run("backup").returncode == 0
    before = len(live.changes())
    for words, said in (
        ((), "has data"), (("--gone", "ctm-1", "--gone", "ctm-2,ctm-3"), "member of a cluster"),
    ):  # fmt: skip
        refused = live.run("restore", "--yes", "--format", "json", *words)
        assert refused.returncode == 3, refused.stdout + refused.stderr
        error = json.loads(refused.stdout)["error"]
        assert said in error["brief"] and error["exit_code"] == 3 and error["remedy"]
    assert live.run("restore", "--on", "ctm-9").returncode == 2
    assert len(live.changes()) == before
