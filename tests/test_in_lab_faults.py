"""Faults of real nodes and of the tool's own host: a server without a banner, a host that sleeps; and new instances."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.lab.cluster import TARGET, Lab
from tests.support.in_lab import Site, site

_OK, _WHY = Lab.available()
pytestmark = [
    pytest.mark.lab,
    pytest.mark.xdist_group("lab2"),
    pytest.mark.skipif(not _OK, reason=f"no lab here: {_WHY}"),
]


@pytest.fixture
def go(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Starts a lab of the test's own; it ends with the test."""
    with ExitStack() as stack:
        yield lambda *a, **k: stack.enter_context(site(tmp_path / "lab", *a, **k))


@pytest.mark.slow
def test_a_server_without_a_banner(go: Callable[..., Site]) -> None:
    """Before a run it is one that cannot be reached; within one it is waited for."""
    made = go(2, behave={"upgrade_seconds": 4.0})
    assert made.lab.mute("ctm-2") == 1
    said = made.run("check")
    assert said.returncode == 4, said.stdout + said.stderr
    assert "ctm-2" in said.stdout and "banner" in said.stdout, said.stdout
    assert made.changes() == []
    made.lab.unmute("ctm-2")
    process = made.start("run", "--yes")
    made.until(made.has("ctm-1", "upgrade-start"), "the upgrade of ctm-1", process)
    assert made.lab.mute("ctm-1") == 1
    assert made.lab.kill_sessions("ctm-1") > 0
    time.sleep(20)  # longer than a banner is waited for
    assert process.poll() is None, made.said()
    made.lab.unmute("ctm-1")
    made.ends(process)
    made.ended_well()


def test_the_tools_host_sleeps_while_a_node_upgrades_and_its_connections_die(go: Callable[..., Site]) -> None:
    """Stopped from the script's start until long after its end; nothing is lost, and nothing done twice."""
    made = go(2, behave={"upgrade_seconds": 3.0})
    process = made.start("run", "--yes")
    made.until(made.has("ctm-1", "upgrade-start"), "the upgrade of ctm-1", process)
    os.kill(process.pid, signal.SIGSTOP)
    made.lab.kill_sessions("ctm-1")
    made.lab.kill_sessions("ctm-2")
    time.sleep(15)
    assert made.kinds("ctm-1")["reboot"] == 0
    os.kill(process.pid, signal.SIGCONT)
    made.ends(process)
    made.ended_well()


@pytest.mark.slow
def test_a_new_instance_takes_an_old_nodes_place(go: Callable[..., Site]) -> None:
    """ctm-4 is brought to the target on its own; a rebuild of the other three then joins it in place of ctm-2."""
    made = go(4)
    lab, together = made.lab, made.lab.layout.cluster_file.read_text()
    four = next(
        row["nodeID"]
        for row in lab.state("ctm-4")["cluster"]["members"]
        if row["host"] == lab.address("ctm-4")
    )
    assert lab.ksctl("ctm-1", "cluster", "nodes", "delete", "--id", four, "--yes").returncode == 0
    # With data of its own it would be no new instance.
    for words in (("cluster", "delete"), ("services", "reset")):
        assert lab.ksctl("ctm-4", *words, "--yes").returncode == 0
    lab.wait_ready()
    assert lab.ksctl("ctm-4", "ntp", "servers", "add", "--host", "time.example.net").returncode == 0
    head, nodes = together.split("nodes:\n")
    entries = [f"  - name: {part}" for part in nodes.split("  - name: ")[1:]]
    alone = head.replace("strategy: in-place", "strategy: standalone").replace(
        "cluster: ", "cluster: new-", 1
    )
    lab.layout.cluster_file.write_text(f"{alone}nodes:\n{entries[3]}")
    made.ends(made.start("run", "--yes"))
    lab.layout.cluster_file.write_text(f"{head}nodes:\n{''.join(entries[:3])}")
    old = lab.state("ctm-2")
    data = lab.state("ctm-1")["data"]
    made.ends(made.start(
        "run", "--yes", "--strategy", "rebuild", "--survivor", "ctm-1", "--fresh", f"ctm-2={lab.address('ctm-4')}",
    ))  # fmt: skip
    now = {name: lab.state(name) for name in lab.names}
    assert (now["ctm-2"]["cluster"], now["ctm-2"]["data"], now["ctm-2"]["version"]) == (
        None,
        data,
        old["version"],
    )
    members = {lab.address(name) for name in ("ctm-1", "ctm-3", "ctm-4")}
    for name in ("ctm-1", "ctm-3", "ctm-4"):
        assert {row["host"] for row in now[name]["cluster"]["members"]} == members, name
        assert (now[name]["data"], now[name]["version"]) == (data, TARGET), name
        assert (made.kinds(name)["upgrade-call"], made.kinds(name)["reboot"]) == (1, 1), name
    assert made.kinds("ctm-2")["upgrade-call"] == 0
    left = [lab.node(name, "ls", "-A", "/home/ksadmin").stdout for name in lab.names]
    assert not any(".ctmupgrade" in text for text in left), left
