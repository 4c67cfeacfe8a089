"""Three kinds of node behind the same ports: simulated, over SSH in this process, and the lab's."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ctmupgrade.adapters.fleet import LiveFleet
from ctmupgrade.config.load import load_cluster
from ctmupgrade.ports import Fleet
from ctmupgrade.sim import SimFleet, World
from tests.support.live import KEY_PASSWORD, PASSWORD, TIMES, Live


@dataclass
class Kind:
    """A fleet of two nodes, the archive that they accept, and how time passes there."""

    name: str
    fleet: Fleet
    archive: Path
    wait: Callable[[], None]
    hosts: dict[str, str]
    second: Callable[[], Fleet]  # another operator's connections


def _simulated(folder: Path) -> Kind:
    world = World.from_dict(
        {
            "archive": {"size": 3_000_000, "generated": True},
            "defaults": {"times": TIMES},
            "nodes": [{"name": "ctm-1"}, {"name": "ctm-2"}],
        }
    )
    world.strict = False
    archive = folder / world.archive.name
    archive.write_bytes(world.archive.content())
    hosts = {n.name: n.cluster_host for n in world.nodes.values()}
    return Kind(
        "sim", SimFleet(world), archive, lambda: world.clock.advance(1), hosts, lambda: SimFleet(world)
    )


def _over_ssh(live: Live, monkeypatch: pytest.MonkeyPatch) -> Kind:
    import time

    monkeypatch.setenv("LIVE_KSCTL", PASSWORD)
    monkeypatch.setenv("LIVE_KEY", KEY_PASSWORD)
    cluster = load_cluster(live.cluster)
    hosts = {n.name: n.cluster_host for n in cluster.nodes}
    fleet = LiveFleet(cluster, lambda _line: None)
    second = lambda: LiveFleet(cluster, lambda _line: None)  # noqa: E731
    return Kind("ssh", fleet, cluster.target.archive, lambda: time.sleep(0.1), hosts, second)


def _in_lab(folder: Path) -> Kind:
    """Inside the lab's own network, where ``test_in_the_lab`` runs this suite once more."""
    import time

    cluster = load_cluster(folder / "cluster.yaml")
    hosts = {n.name: n.cluster_host for n in cluster.nodes}
    fleet = LiveFleet(cluster, lambda _line: None)
    second = lambda: LiveFleet(cluster, lambda _line: None)  # noqa: E731
    return Kind("lab", fleet, cluster.target.archive, lambda: time.sleep(0.3), hosts, second)


LAB_FOLDER = os.environ.get("CTMUPGRADE_CONTRACT_LAB", "")
KINDS = ["lab"] if LAB_FOLDER else ["sim", "ssh"]


@pytest.fixture(params=KINDS)
def kind(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    go_live: Callable[..., Live],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Kind]:
    match request.param:
        case "sim":
            made = _simulated(tmp_path)
        case "ssh":
            made = _over_ssh(go_live(nodes=2, size=3_000_000), monkeypatch)
        case _:
            made = _in_lab(Path(LAB_FOLDER))
    yield made
    made.fleet.close()
