"""``drill`` of the installed program over real SSH and a real ksctl process, on a spare at an address of its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import pytest

from tests.support.live import KEY_PASSWORD, PASSWORD, Live
from tests.support.lost_cluster import USERS

GoLive = Callable[..., Live]
SPARE = "127.0.0.99"
TIMES = {"restore_s": 20.0, "removed_s": 1.0, "start_s": 6.0, "backup_s": 2.0}
STEPS = ("upload-key", "upload-backup", "restore", "prove-restore", "compare-counts", "reset-spare")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8")


def _beside_a_spare(go_live: GoLive) -> Live:
    nodes = [
        {"name": f"ctm-{i}", "cluster": "main", "users": USERS, "backup_keys": [{"id": f"key-{i}"}]}
        for i in (1, 2)
    ]
    nodes.append({"name": "spare", "host": SPARE, "system_name": "new", "backup_keys": [{"id": "key-new"}]})
    live = go_live(more={"nodes": nodes, "keys": {"data-main": 1200}, "clustered": False}, times=TIMES)
    made = live.run("backup")
    assert made.returncode == 0, made.stdout + made.stderr
    with live.fleet.lock:
        live.world.events.clear()
    return live


def _as_before(live: Live, restores: int = 1) -> None:
    """Only the spare was changed, it is empty again, and the cluster has what it had."""
    with live.fleet.lock:
        assert {event.node for event in live.world.changes()} == {"spare"}
        assert len(live.world.of_kind("restored")) == restores
        spare = live.world.nodes["spare"]
        assert (spare.users, spare.cluster, spare.backups) == (["admin"], "", [])
        assert all(live.world.nodes[name].users == USERS for name in ("ctm-1", "ctm-2"))
        assert not live.world.of_kind("secret_on_command_line") and not live.world.of_kind(
            "restore_disturbed"
        )


@pytest.mark.slow
def test_a_backup_is_proven_on_a_spare_over_ssh(go_live: GoLive) -> None:
    live = _beside_a_spare(go_live)
    done = live.run("drill", "--on", f"spare={SPARE}", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ERASES all data of spare" in done.stdout and "No client loses a node" in done.stdout
    _as_before(live)
    proven = [
        json.loads(path.read_text())["proven"] for path in (live.folder / "backups").glob("*.manifest.json")
    ]
    assert len([one for one in proven if one]) == 1
    looked = json.loads(live.run("check", "--only", "restored_once", "--format", "json").stdout)
    assert looked["verdict"] == "pass", looked
    texts = [path.read_text(errors="replace") for path in live.state.rglob("*") if path.is_file()]
    assert not [
        text for text in (*texts, done.stdout, done.stderr) if PASSWORD in text or KEY_PASSWORD in text
    ]


@pytest.mark.slow
def test_a_drill_that_is_killed_in_each_step_is_gone_on_with(go_live: GoLive) -> None:
    """On one spare, which is fit for the next drill after each."""
    live = _beside_a_spare(go_live)
    for count, step in enumerate(STEPS, start=1):
        before = len(live.journals())
        killed = live.start("drill", "--on", f"spare={SPARE}", "--yes")
        live.until(killed, lambda _world, n=before: len(live.journals()) > n, "a journal of its own")  # type: ignore[misc] # bound
        live.until_step(killed, f"{step}:spare")
        live.kill(killed)
        again = live.run("drill", "--on", f"spare={SPARE}", "--yes")
        assert again.returncode == 3 and "ctmupgrade resume" in again.stderr, again.stderr
        done = live.run("resume", "--yes")
        assert done.returncode == 0, (step, done.stdout + done.stderr)
        assert live.report()["outcome"] == "done"
        _as_before(live, count)


@pytest.mark.slow
def test_a_member_is_no_spare_at_whatever_address(go_live: GoLive) -> None:
    live = _beside_a_spare(go_live)
    with live.fleet.lock:
        live.world.nodes["spare"].cluster = "main"
        live.world.nodes["spare"].node_id = "0" * 32
    refused = live.run("drill", "--on", f"spare={SPARE}", "--yes", "--format", "json")
    assert refused.returncode == 3, refused.stdout + refused.stderr
    assert "no drill on spare" in json.loads(refused.stdout)["error"]["brief"]
    assert not live.changes()
