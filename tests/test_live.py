"""The installed program against real SSH servers, a real signature and a ksctl of its own process: whole runs,
and what breaks in their middle. Nothing of ctmupgrade is replaced; the appliances are the simulator's."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ctmupgrade.sim import Fault, World, timeline
from tests.support.forging import forge_plan
from tests.support.live import KEY_PASSWORD, NAME, PASSWORD, Live

GoLive = Callable[..., Live]
ALONE = {
    "nodes": 1,
    "more": {"clustered": False},
    "extra": "strategy: standalone",
}  # a run in a third of the time
LONG = {"times": {"upgrade_s": 100.0, "reboot_s": 60.0}}  # 5 s and 3 s of ours: time to break something


def ended_well(live: Live, *processes: subprocess.Popen[str]) -> None:
    """The cluster is upgraded, every node by one script and one boot, and nothing of ours is left on it."""
    said = "\n".join(live.said(p) for p in processes)
    for name, node in live.world.nodes.items():
        assert node.version == live.world.archive.version, said
        assert (name, live.kinds("upgrade_started", name)) == (name, [f"{node.version} by ctmupgrade"]), said
        assert (name, len(live.kinds("reboot", name))) == (name, 1), said
        assert node.folders == [], "its mark is left"
        assert [p for p in node.files if p.endswith(".part")] == []
    for bad in ("repeated_upgrade", "started_while_away", "upgrade_killed"):
        assert live.kinds(bad) == [], said
    document = live.report()
    assert (document["mode"], document["outcome"], document["state"]) == ("LIVE", "done", "done")
    assert {n["state"] for n in document["nodes"]} == {"done"}
    assert live.run("report", "--verify").returncode == 0


def resumed(live: Live) -> None:
    """A new process goes on to a good end."""
    process = live.start("resume")
    assert process.wait(120) == 0, live.said(process)
    ended_well(live, process)


# -- the whole way ---------------------------------------------------------------------------------------------


@contextmanager
def watched_command_lines() -> Iterator[set[str]]:
    """Command lines in which a secret stands, of whatever runs on this machine meanwhile."""
    found: set[str] = set()
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.03):
            for place in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    words = place.read_bytes().decode(errors="replace")
                except OSError:
                    continue
                if PASSWORD in words or KEY_PASSWORD in words:
                    found.add(words)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def test_three_nodes_from_check_to_report(go_live: GoLive) -> None:
    live = go_live(nodes=3)
    for words in (["check"], ["plan", "-o", "plan.json"], ["run", "--dry-run", "--yes"], ["runbook"]):
        said = live.run(*words)
        assert said.returncode == 0, said.stdout + said.stderr
        assert live.changes() == [], words
        assert [node.folders for node in live.world.nodes.values()] == [[], [], []]
    staged = live.run("stage", "--yes", "--format", "json")
    assert staged.returncode == 0, staged.stdout + staged.stderr
    with watched_command_lines() as leaks:
        said = live.run("run", "--yes", "-v")
    assert said.returncode == 0, said.stdout + said.stderr
    assert said.stdout.startswith("LIVE: live")
    steps = {s["id"]: s for s in json.loads(live.run("report", "--format", "json").stdout)["steps"]}
    earlier = json.loads(staged.stdout.splitlines()[-1])["run"]
    since = [steps[f"stage:ctm-{n}"]["evidence"].get("unchanged_since") for n in (1, 2, 3)]
    assert since == [earlier] * 3
    ended_well(live)
    _order_is_kept(live)
    _archives_are_whole(live)
    _backups_were_first(live)
    assert leaks == set()
    _no_secret_was_written(live, said.stdout + said.stderr)
    again = live.run("run", "--yes")
    assert again.returncode == 0
    assert len(live.kinds("reboot")) == 3, "a cluster at its target is left alone"


def _order_is_kept(live: Live) -> None:
    """A node starts only when the one before is back and has settled."""
    wanted = [e for e in live.world.events if e.kind in ("upgrade_started", "reboot", "ready") and e.at > 0]
    names = [e.node for e in wanted if e.kind == "upgrade_started"]
    assert names == ["ctm-1", "ctm-2", "ctm-3"]
    for before, after in pairwise(names):
        started = next(e.at for e in wanted if e.kind == "upgrade_started" and e.node == after)
        assert live.world.nodes[before].ready_at < started


def _archives_are_whole(live: Live) -> None:
    for node in live.world.nodes.values():
        held = next(file for path, file in node.files.items() if path.endswith(f"/{NAME}"))
        assert held.data == (live.folder / NAME).read_bytes()


def _backups_were_first(live: Live) -> None:
    kinds = [e.kind for e in live.world.events]
    first = kinds.index("upgrade_started")
    assert kinds[:first].count("backup_downloaded") == kinds[:first].count("key_downloaded") == 3
    stored = list((live.folder / "backups").glob("*"))
    assert (
        len([p for p in stored if p.suffix == ".backup"])
        == len([p for p in stored if p.suffix == ".key"])
        == 3
    )
    assert all(path.stat().st_mode & 0o077 == 0 for path in stored)


def _no_secret_was_written(live: Live, said: str) -> None:
    kept = [p for p in live.folder.rglob("*") if p.is_file() and p.name not in ("ksctl", "client_key")]
    private = live.fleet.client_key_path.read_text().splitlines()[1]
    for secret in (PASSWORD, KEY_PASSWORD, private):
        assert secret not in said
        leaks = [p for p in kept if secret.encode() in p.read_bytes() and p.parent.name != "fleet"]
        assert leaks == []
    assert live.journals()


@pytest.mark.slow
def test_a_dropped_connection_changes_nothing(go_live: GoLive) -> None:
    live = go_live(nodes=2, **LONG)
    process = live.start("run", "--yes")
    live.until(process, lambda w: w.nodes["ctm-2"].running, "the upgrade of ctm-2")
    time.sleep(0.5)
    with live.fleet.lock:
        live.world.inject(Fault("cut", "ctm-2"))
        assert live.world.nodes["ctm-2"].running
    assert process.wait(120) == 0, live.said(process)
    ended_well(live, process)


# -- kill -9 ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_killed_in_the_upload(go_live: GoLive) -> None:
    live = go_live(nodes=2, size=24_000_000)
    total = (live.folder / NAME).stat().st_size
    process = live.start("run", "--yes", "--limit-rate", "8M")
    live.until(process, lambda _w: 3_000_000 < live.fleet.servers["ctm-2"].taken < total, "half an upload")
    live.kill(process)
    assert live.kinds("upgrade_started") == []
    resumed(live)
    # These servers keep nothing of a stream that breaks; going on from a part is in test_stage and the lab.
    _archives_are_whole(live)


@pytest.mark.parametrize("meanwhile", ["it goes on", pytest.param("it has ended", marks=pytest.mark.slow)])
def test_killed_in_the_upgrade(go_live: GoLive, meanwhile: str) -> None:
    live = go_live(nodes=2, **LONG)
    process = live.start("run", "--yes")
    live.until(process, lambda w: w.nodes["ctm-1"].running, "the upgrade of ctm-1")
    live.until_step(process, "upgrade:ctm-1")
    live.kill(process)
    assert live.world.nodes["ctm-1"].running, "it must not die with ctmupgrade"
    if meanwhile == "it has ended":
        _wait_in_world(live, lambda w: not w.nodes["ctm-1"].running)
    resumed(live)


@pytest.mark.slow
@pytest.mark.parametrize("meanwhile", ["it is down", "it is back"])
def test_killed_in_the_wait_for_the_reboot(go_live: GoLive, meanwhile: str) -> None:
    live = go_live(nodes=2, **LONG)
    process = live.start("run", "--yes")
    live.until(process, lambda w: w.of_kind("reboot", "ctm-1"), "the reboot of ctm-1")
    live.kill(process)
    if meanwhile == "it is back":
        node = live.world.nodes["ctm-1"]
        _wait_in_world(live, lambda w: w.now > node.ready_at > 0)
    resumed(live)


def test_killed_on_its_way_out(go_live: GoLive) -> None:
    """There is nothing to resume then, so nothing of ours may be left that only a resume would take away."""
    live = go_live(**ALONE)
    process = live.start("run", "--yes")
    while process.poll() is None and '"run-ended"' not in "".join(p.read_text() for p in live.journals()):
        time.sleep(0.001)
    live.kill(process)
    assert live.events()[-1]["outcome"] == "done", live.said(process)
    ended_well(live, process)


def _wait_in_world(live: Live, seen: Callable[[World], object]) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with live.fleet.lock:
            timeline.catch_up(live.world)
            if seen(live.world):
                return
        time.sleep(0.05)
    raise AssertionError("never came")


# -- a recorded cluster ------------------------------------------------------------------------------------------


def test_a_recorded_cluster_answers_as_it_did_and_is_rehearsed(go_live: GoLive) -> None:
    live = go_live(nodes=2)
    folder = str(live.folder / "recorded")
    said = live.run("record", folder)
    assert said.returncode == 0, said.stdout + said.stderr
    assert live.changes() == []
    live.world.inject(Fault("power_loss", node="ctm-1"))  # it is not asked any more
    for words in (["check"], ["plan"], ["runbook"], ["run", "--dry-run"], ["run"], ["stage"], ["backup"]):
        said = live.run(*words, "--simulate", folder)
        assert said.returncode == 0, said.stdout + said.stderr
    assert live.changes() == []
    text = (live.folder / "recorded" / "transcript.jsonl").read_text()
    assert PASSWORD not in text and KEY_PASSWORD not in text
    took = [json.loads(line)["took"] for line in text.splitlines()[1:]]
    assert min(took) >= 0 and max(took) > 0


# -- Ctrl-C ----------------------------------------------------------------------------------------------------


def interrupted_once(go_live: GoLive, **traits: Any) -> tuple[Live, subprocess.Popen[str]]:
    """A run that got Ctrl-C in the upgrade of the first of two nodes, and has paused."""
    live = go_live(nodes=2, **LONG, **traits)
    process = live.start("run", "--yes")
    live.until(process, lambda w: w.nodes["ctm-1"].running, "the upgrade of ctm-1")
    process.send_signal(signal.SIGINT)
    assert process.wait(120) == 7, live.said(process)
    return live, process


def test_ctrl_c_once_pauses_after_the_step(go_live: GoLive) -> None:
    live, process = interrupted_once(go_live)
    assert len(live.kinds("upgrade_succeeded", "ctm-1")) == 1, "the step in hand ends first"
    assert live.kinds("upgrade_started", "ctm-2") == []
    said = live.run("status", "--format", "plain").stdout
    assert "paused" in said
    assert "resume" in live.said(process)
    resumed(live)


def test_a_journal_that_was_rolled_back_is_not_resumed(go_live: GoLive) -> None:
    """SECURITY M7: the nodes' marks keep its head while the run lives."""
    live, _ = interrupted_once(go_live)
    journal = live.journals()[-1]
    whole = journal.read_bytes().splitlines(keepends=True)
    events = [json.loads(line)["event"] for line in whole]
    begun = next(
        n for n, e in enumerate(events) if (e["kind"], e.get("step")) == ("step-started", "upgrade:ctm-1")
    )
    journal.write_bytes(b"".join(whole[:begun]))
    assert live.run("report", "--verify").returncode == 0, "its own chain holds"
    said = live.run("resume")
    assert said.returncode == 3, said.stdout + said.stderr
    assert "set back or changed" in said.stderr
    assert "ctm-1" in said.stderr
    assert len(live.kinds("upgrade_started", "ctm-1")) == 1
    journal.write_bytes(b"".join(whole))
    # Written again from its first line on: ctm-2, which nothing has changed yet, keeps that line since it was marked.
    forge_plan(journal, lambda plan: plan["options"].update(allow_downgrade=True))
    first = live.world.nodes["ctm-1"]
    first.folders = [path for path in first.folders if "journal." not in path]
    said = live.run("resume")
    assert (said.returncode, "ctm-2 has a head of line 1 " in said.stderr) == (3, True), said.stderr
    journal.write_bytes(b"".join(whole))
    resumed(live)
    for node in live.world.nodes.values():
        assert [path for path in node.folders if "ctmupgrade-run" in path] == [], (
            "marks and heads are gone at the end"
        )


def test_abort_says_which_node_waits_for_its_reboot(go_live: GoLive) -> None:
    live, _ = interrupted_once(go_live)
    waits = "ctm-1: ks_upgrade.sh has ended, and the node must still be rebooted"
    assert f"{waits} (resuming the run reboots it)" in live.run("status", "--format", "plain").stdout
    aborted = live.run("abort")
    assert f"{waits} (on the node, before anything else: sudo reboot" in aborted.stdout, aborted.stdout
    for words in (["status", "--format", "plain"], ["report"], ["report", "--format", "json"]):
        told = live.run(*words).stdout
        assert (
            f"{waits} (on the node, before anything else: sudo reboot" in told
            and "ctm-2: ks_upgrade.sh" not in told
        )


def both_upgraded_once(live: Live) -> None:
    for name, node in live.world.nodes.items():
        assert node.version == live.world.archive.version
        assert len(live.kinds("upgrade_started", name)) == len(live.kinds("reboot", name)) == 1
    assert live.run("check").returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("early", [True, False])
def test_a_reboot_that_an_abort_left_out_is_not_forgotten(go_live: GoLive, early: bool) -> None:
    """Its version need not tell: it may say the new one before its reboot already (docs/appliance.md 1.2)."""
    live, _ = interrupted_once(go_live, upgrade={"shows_early": early})
    assert live.run("abort").returncode == 0
    for words in (["check"], ["run", "--yes"]):
        said = live.run(*words)
        assert said.returncode == 3, said.stdout
        assert "ctm-1" in said.stdout and "reboot" in said.stdout
    assert live.kinds("upgrade_started", "ctm-2") == live.kinds("reboot") == []
    said = live.run("recover", "--yes")
    assert len(live.kinds("reboot", "ctm-1")) == 1, said.stdout + said.stderr
    said = live.run("run", "--yes")
    assert said.returncode == 0, said.stdout + said.stderr
    both_upgraded_once(live)


@pytest.mark.slow
def test_a_reboot_by_hand_after_an_abort_is_seen(go_live: GoLive) -> None:
    live, _ = interrupted_once(go_live, upgrade={"shows_early": True})
    assert live.run("abort").returncode == 0
    assert live.run("check", "--only", "no_reboot_pending").returncode == 3
    live.world.inject(Fault("power_loss", node="ctm-1"))
    deadline = time.monotonic() + 60
    while live.run("check").returncode != 0 and time.monotonic() < deadline:
        pass  # it boots
    said = live.run("run", "--yes")
    assert said.returncode == 0, said.stdout + said.stderr
    both_upgraded_once(live)


def test_ctrl_c_twice_leaves_at_once(go_live: GoLive) -> None:
    live = go_live(**ALONE, times={"upgrade_s": 200.0})
    process = live.start("run", "--yes")
    live.until(process, lambda w: w.nodes["ctm-1"].running, "the upgrade of ctm-1")
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    assert process.wait(15) == 130, live.said(process)
    assert "Traceback" not in live.said(process)
    assert live.world.nodes["ctm-1"].running, "the appliance's own upgrade goes on"
    resumed(live)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_end_is_like_ctrl_c_twice(go_live: GoLive, number: signal.Signals) -> None:
    live = go_live(**ALONE, **LONG)
    process = live.start("run", "--yes")
    live.until(process, lambda w: w.nodes["ctm-1"].running, "the upgrade")
    process.send_signal(number)
    assert process.wait(15) == 130, live.said(process)
    resumed(live)


# -- who may run, and what cannot be reached ----------------------------------------------------------------------


def test_two_operators_at_once(go_live: GoLive) -> None:
    """Two machines have two state folders: only the marks on the nodes tell them of each other."""
    live = go_live(nodes=2)
    both = [live.start("run", "--yes"), live.start("run", "--yes", state=live.folder / "other")]
    codes = [process.wait(120) for process in both]
    said = [live.said(process) for process in both]
    assert sorted(codes) == [0, 8], said
    winner, loser = (0, 1) if codes[0] == 0 else (1, 0)
    if winner == 1:
        live.state = live.folder / "other"
    run = live.journals()[-1].parent.name
    assert run in said[loser], (run, said[loser])
    assert f"--take-over {run}" in said[loser]
    assert "Traceback" not in said[loser]
    ended_well(live, both[winner])


@pytest.mark.slow
def test_a_later_dry_run_does_not_hide_the_run(go_live: GoLive) -> None:
    """Who asks without a name means the run that changes nodes, until it is over."""
    live = go_live(nodes=2)
    paused = live.run("run", "--yes", "--stop-after", "ctm-1")
    assert paused.returncode == 7, paused.stderr

    def status() -> tuple[str, str]:
        told = json.loads(live.run("status", "--format", "json").stdout)
        return told["mode"], told["state"]

    looked = live.run("run", "--dry-run", "--yes")
    assert looked.returncode == 0, looked.stdout
    assert len(live.journals()) == 2, "the dry run has a journal, which is the latest"
    assert status() == ("LIVE", "paused")
    asked = live.run("abort")
    assert asked.returncode == 0, asked.stderr
    assert status() == ("LIVE", "aborted"), "the latest that changed nodes, not the dry run after it"


def test_an_unknown_host_key(go_live: GoLive) -> None:
    live = go_live(nodes=2)
    lines = live.fleet.known_hosts.read_text().splitlines(keepends=True)
    live.fleet.known_hosts.write_text("".join(lines[:1]))
    for words in (["check"], ["run", "--yes"]):
        said = live.run(*words)
        assert said.returncode == 3, said.stdout + said.stderr  # blocked: trying again cannot help
        assert live.fleet.host_keys["ctm-2"] in said.stdout + said.stderr
    assert live.changes() == []
    assert live.fleet.known_hosts.read_text() == lines[0], "a key is never learned by itself"
    pinned = live.cluster.read_text().replace(
        "name: ctm-2,", f"name: ctm-2, host_key: '{live.fleet.host_keys['ctm-2']}',"
    )
    live.cluster.write_text(pinned)
    said = live.run("check")
    assert said.returncode == 0, said.stdout + said.stderr
    live.cluster.write_text(pinned.replace(live.fleet.host_keys["ctm-2"], live.fleet.host_keys["ctm-1"]))
    assert live.run("check").returncode == 3, "a pinned key wins over all"


@pytest.mark.slow
def test_a_host_key_that_changes_with_the_reboot(go_live: GoLive) -> None:
    live = go_live(nodes=2, more={"faults": [{"kind": "new_host_key", "node": "ctm-1"}]})
    server = live.fleet.servers["ctm-1"]
    process = live.start("run", "--yes")
    assert process.wait(120) == 4, live.said(process)
    fresh = server.keys[1]
    assert str(fresh.fingerprint) in live.said(process)
    assert live.kinds("upgrade_started", "ctm-2") == []
    with live.fleet.lock:  # the operator has looked at its console: the key is its own
        server.keys = [fresh, fresh]
        live.world.nodes["ctm-1"].host_key = 1
    kept = [
        line for line in live.fleet.known_hosts.read_text().splitlines() if f":{server.port} " not in line
    ]
    kept.append(f"[127.0.0.1]:{server.port} {fresh.get_name()} {fresh.get_base64()}")
    live.fleet.known_hosts.write_text("\n".join(kept) + "\n")
    resumed(live)


@pytest.mark.parametrize("what", ["shell", "control"])
def test_a_node_that_is_away(go_live: GoLive, what: str) -> None:
    live = go_live(nodes=2)
    with live.fleet.lock:
        live.world.inject(Fault("refused", "ctm-2", params={"what": what}))
    for words in (["check"], ["run", "--yes"]):
        said = live.run(*words)
        assert said.returncode == 4, (words, said.stdout + said.stderr)
        assert "ctm-2" in said.stdout + said.stderr
    assert live.changes() == []


def test_a_strange_ssh_key(go_live: GoLive) -> None:
    live = go_live(nodes=2)
    with live.fleet.lock:
        live.world.inject(Fault("auth_refused", "ctm-2"))
    said = live.run("run", "--yes")
    assert said.returncode == 3, said.stdout + said.stderr
    assert "refuses the SSH key" in said.stdout
    assert live.changes() == []


def test_an_archive_that_was_changed(go_live: GoLive) -> None:
    live = go_live(nodes=2)
    data = bytearray((live.folder / NAME).read_bytes())
    data[len(data) // 2] ^= 1
    (live.folder / NAME).write_bytes(bytes(data))
    said = live.run("run", "--yes")
    assert said.returncode == 3, said.stdout + said.stderr
    assert "archive_signature_good" in said.stdout
    assert live.changes() == []
    assert live.run("verify", str(live.folder / NAME)).returncode == 3
