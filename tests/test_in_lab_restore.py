"""``restore`` in the lab: real systemd, sshd and a ksctl over HTTPS, on nodes that were reset as a whole."""

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


def _own(made: Site, name: str) -> tuple[str, list[str]]:
    state = made.lab.state(name)
    return state["name"], state["ntp"]
