"""``restore`` and ``drill`` in the lab: real systemd, sshd and a ksctl over HTTPS, on nodes that were reset as a whole."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.lab.cluster import Lab
from tests.support.in_lab import MISTAKES, Site, site

_OK, _WHY = Lab.available()
pytestmark = [
    pytest.mark.lab,
    pytest.mark.xdist_group("lab"),
    pytest.mark.skipif(not _OK, reason=f"no lab here: {_WHY}"),
]


@pytest.fixture
def go(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Starts a lab of the test's own; it ends with the test."""
    with ExitStack() as stack:
        yield lambda *a, **k: stack.enter_context(site(tmp_path / "lab", *a, **k))


@pytest.mark.slow
def test_a_lab_that_was_lost_as_a_whole_comes_back(go: Callable[..., Site]) -> None:
    made = go(3, behave={"join_seconds": 1.5})
    for number, name in enumerate(made.lab.names):
        server = f"time{number}.example.net"
        assert made.lab.ksctl(name, "ntp", "servers", "add", "--host", server).returncode == 0
    before = {name: _own(made, name) for name in made.lab.names}
    data = made.lab.state("ctm-1")["data"]
    done = made.run("backup")
    assert data and done.returncode == 0, done.stdout + done.stderr
    refused = made.run("restore", "--yes")
    assert refused.returncode == 3 and "has data" in refused.stderr, refused.stdout + refused.stderr
    for name in made.lab.names:
        assert made.lab.ksctl(name, "services", "reset", "--yes").returncode == 0
    time.sleep(3)
    made.ends(made.start("restore", "--yes", "--on", "ctm-2"))
    assert {name: made.lab.state(name)["data"] for name in made.lab.names} == dict.fromkeys(
        made.lab.names, data
    )
    assert {name: _own(made, name) for name in made.lab.names} == before
    made.lab.wait_ready()
    assert len({made.lab.state(name)["cluster"]["id"] for name in made.lab.names}) == 1
    wrong = {name: [kind for kind in MISTAKES if made.kinds(name)[kind]] for name in made.lab.names}
    assert not any(wrong.values()), wrong


@pytest.mark.slow
def test_a_drill_on_a_spare_touches_nothing_of_the_cluster(go: Callable[..., Site]) -> None:
    """It is killed when the spare has the data; the run is gone on with, and the spare is emptied."""
    made = go(4)
    lab, spare = made.lab, "ctm-4"
    mine = lab.state(spare)["node_id"]
    assert lab.ksctl("ctm-1", "cluster", "nodes", "delete", "--id", mine, "--yes").returncode == 0
    for words in (("cluster", "delete"), ("services", "reset")):
        assert lab.ksctl(spare, *words, "--yes").returncode == 0
    head, nodes = lab.layout.cluster_file.read_text().split("nodes:\n")
    entries = [f"  - name: {part}" for part in nodes.split("  - name: ")[1:]]
    lab.layout.cluster_file.write_text(f"{head}nodes:\n{''.join(entries[:3])}")
    lab.wait_ready()
    done = made.run("backup")
    assert done.returncode == 0, done.stdout + done.stderr
    others = [name for name in lab.names if name != spare]
    before = {name: made.kinds(name)["api"] for name in others}
    data = lab.state("ctm-1")["data"]
    on = ("drill", "--yes", "--on", f"spare={lab.address(spare)}")
    killed = made.start(*on)
    made.until(lambda: lab.state(spare)["data"] == data, "the backup's data on the spare", killed)
    made.kill(killed)
    assert made.run(*on).returncode == 3, "one that is unfinished is resumed"
    made.ends(made.start("resume", "--yes"))
    assert lab.state(spare)["data"] != data and lab.state(spare)["cluster"] is None
    assert {name: made.kinds(name)["api"] for name in others} == before, "no command changed the cluster"
    assert all(lab.state(name)["data"] == data for name in others)


def _own(made: Site, name: str) -> tuple[str, list[str]]:
    state = made.lab.state(name)
    return state["name"], state["ntp"]
