"""``recover`` and ``report --bundle`` of the installed program over real SSH and a real ksctl process."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Callable

import pytest

from ctmupgrade.sim import Fault
from tests.support.live import KEY_PASSWORD, PASSWORD, Live

GoLive = Callable[..., Live]
APART = [{"name": "ctm-1"}, {"name": "ctm-2"}, {"name": "ctm-3", "cluster": "", "data": "data-main"}]


@pytest.mark.slow
def test_a_node_that_stands_apart_is_taken_back(go_live: GoLive) -> None:
    live = go_live(more={"nodes": APART}, times={"join_s": 40.0, "removed_s": 1.0})
    looked = live.run("recover")
    assert looked.returncode == 3 and "join:ctm-3" in looked.stdout, looked.stdout + looked.stderr
    assert not live.changes()
    done = live.run("recover", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "afterwards:\nnothing is wrong" in done.stdout
    with live.fleet.lock:
        assert {n.cluster for n in live.world.nodes.values()} == {"main"}
        assert {n.data for n in live.world.nodes.values()} == {"data-main"}
    assert live.run("recover").stdout.count("nothing is wrong") == 1


def test_a_dead_node_does_not_keep_its_own_loss_from_being_mended(go_live: GoLive) -> None:
    """It cannot be marked as ours, and need not be: it is written off."""
    live = go_live(nodes=3)
    with live.fleet.lock:
        live.world.inject(Fault("reboot_never_ends", "ctm-3"), Fault("power_loss", "ctm-3"))
    done = live.run("recover", "--gone", "ctm-3", "--yes")
    assert done.returncode in (0, 6), done.stdout + done.stderr  # 6: what only a person can do is left
    assert "remove:ctm-3" in done.stdout + done.stderr
    with live.fleet.lock:
        assert live.world.nodes["ctm-1"].data == live.world.nodes["ctm-2"].data == "data-main"
    assert live.kinds("node_removed", "ctm-3")
    assert not live.kinds("node_removed", "ctm-1") and not live.kinds("node_removed", "ctm-2")


@pytest.mark.slow
def test_a_recover_that_cannot_begin_leaves_the_run_to_be_resumed(go_live: GoLive) -> None:
    live = go_live(nodes=3, times={"join_s": 10.0, "removed_s": 1.0})
    assert live.run("run", "--yes", "--stop-after", "ctm-1").returncode == 7
    paused = live.journals()[-1].parent.name
    with live.fleet.lock:
        live.world.nodes["ctm-3"].cluster = ""
        live.world.inject(
            Fault("refused", "ctm-2", "command mkdir .ctmupgrade-run", for_s=1e6, params={"what": "shell"})
        )
    refused = live.run("recover", "--yes")
    assert refused.returncode != 0 and not live.kinds("join_started"), refused.stdout + refused.stderr
    told = json.loads(live.run("status", paused, "--format", "json").stdout)
    assert told["state"] == "paused", refused.stdout + refused.stderr


@pytest.mark.slow
def test_a_run_whose_journal_is_lost_is_taken_over(go_live: GoLive) -> None:
    """A rebuild was killed when all were removed, and its state folder is gone: its marks must not lock all out."""
    live = go_live(nodes=2, extra="strategy: rebuild", times={"join_s": 10.0, "removed_s": 1.0})
    killed = live.start("run", "--yes", "--survivor", "ctm-1")
    live.until_step(killed, "new-cluster:ctm-1")
    live.kill(killed)
    lost = live.journals()[-1].parent.name
    shutil.rmtree(live.state)
    words = ("recover", "--survivor", "ctm-1", "--yes")
    looked = live.run(*words[:-1])
    assert looked.returncode == 3 and "join:ctm-2" in looked.stdout, looked.stdout + looked.stderr
    before = len(live.changes())
    refused = live.run(*words)
    assert refused.returncode == 8, refused.stdout + refused.stderr
    assert f"--survivor ctm-1 --yes --take-over {lost}" in refused.stderr
    other = live.run(*words, "--take-over", "20260101T000000-0000000")
    assert other.returncode == 8, "only the run that is named is taken over"
    assert len(live.changes()) == before and not live.journals()
    done = live.run(*words, "--take-over", lost)
    assert done.returncode == 0, done.stdout + done.stderr
    with live.fleet.lock:
        assert {n.data for n in live.world.nodes.values()} == {"data-main"}
        assert len({n.cluster for n in live.world.nodes.values()} - {""}) == 1
    assert live.run("report", "--verify").returncode == 0
    assert live.run("run", "--yes").returncode == 0, "its marks are gone"


@pytest.mark.slow
def test_a_bundle_of_a_live_run_holds_no_password(go_live: GoLive) -> None:
    live = go_live(more={"faults": [{"kind": "upgrade_fails", "node": "ctm-1"}]})
    assert live.run("run", "--yes").returncode == 5
    packed = live.run("report", "--bundle", "support.tar.gz", "--format", "json")
    assert packed.returncode == 0, packed.stderr
    changes = len(live.changes())
    with tarfile.open(live.folder / "support.tar.gz") as tar:
        files = {m.name.partition("/")[2]: tar.extractfile(m) for m in tar.getmembers()}
        texts = {name: body.read().decode() for name, body in files.items() if body is not None}
    assert set(texts) == set(json.loads(packed.stdout)["files"])
    assert any(name.startswith("nodes/ctm-1/ks_upgrade_") for name in texts)
    for secret in (PASSWORD, KEY_PASSWORD, "PRIVATE KEY", "LIVE_KSCTL"):
        assert secret not in "".join(texts.values())
    assert len(live.changes()) == changes
