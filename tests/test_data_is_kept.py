"""Promise 5 where the cluster changed between two looks, or a person said that something is done: the only copy stays.

Each was found by readers who changed the world between two commands; what happened is read from the world's own log.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.golden import call
from tests.support.world_run import write_fixture

NEW = "2.21.0+15451"
Kept = tuple[str, ...]


def _fixture(folder: Path, strategy: str, nodes: list[dict[str, Any]], count: int = 3, **world: Any) -> Kept:
    """A fixture, and the words that name it."""
    place = write_fixture(folder, strategy, nodes, count, **world)
    return ("--simulate", str(place), "--state-dir", str(folder / "state"))


def _plain(count: int = 3, **more: Any) -> list[dict[str, Any]]:
    return [{"name": f"ctm-{i + 1}", **more} for i in range(count)]


def _world(folder: Path) -> dict[str, dict[str, Any]]:
    """The nodes of the world that the last run has left."""
    newest = max(folder.glob("state/*/*/world.json"), key=lambda path: path.stat().st_mtime_ns)
    return {node["name"]: node for node in json.loads(newest.read_text(encoding="utf-8"))["nodes"]}


def _change(folder: Path, name: str, **traits: Any) -> None:
    for path in folder.glob("state/*/*/world.json"):
        world = json.loads(path.read_text(encoding="utf-8"))
        for node in world["nodes"]:
            node.update(traits if node["name"] == name else {})
        path.write_text(json.dumps(world), encoding="utf-8")


@pytest.mark.parametrize("options", [(), ("--reset-before-join",)])
def test_nothing_joins_a_survivor_that_lost_the_data(tmp_path: Path, options: Kept) -> None:
    """Somebody reset it, and made a new cluster on it, while the run was paused."""
    place = _fixture(tmp_path, "rebuild", _plain(), keys={"data-main": 1000, "data-new": 0})
    assert call("run", "--yes", "--stop-after", "ctm-1", *options, *place)[0] == 7
    _change(tmp_path, "ctm-1", data="data-new", cluster="cluster-0099", node_id="f" * 32)
    code, said = call("resume", "--yes", *place)
    assert code == 6 and "ctm-1 has 0 of 1000 keys" in said, said
    after = _world(tmp_path)
    assert {after[name]["data"] for name in ("ctm-2", "ctm-3")} == {"data-main"}


def test_recover_does_not_erase_the_node_with_the_data_for_an_empty_cluster(tmp_path: Path) -> None:
    nodes = _plain(version=NEW, cluster="A", data="data-b")
    nodes[2].update(cluster="", data="data-main")
    place = _fixture(tmp_path, "in-place", nodes, keys={"data-main": 1000, "data-b": 0})
    code, said = call("recover", "--yes", *place)
    assert code == 6 and "ctm-3 stays outside the cluster with its data: it has more keys than ctm-1" in said
    assert not list(tmp_path.glob("state/*/*/journal.jsonl")), "nothing was begun"
    code, said = call("recover", "--rejoin", "ctm-3", *place)
    assert code == 3 and "ERASES ctm-3" in said, "a person has named it"


@pytest.mark.parametrize("second", ["data-main", "data-b"])
def test_recover_erases_no_other_living_cluster(tmp_path: Path, second: str) -> None:
    """Two clusters of two: whose data counts is for a person, also where both have as many keys."""
    nodes = _plain(4, version=NEW, cluster="A")
    for node in nodes[2:]:
        node.update(cluster="B", data=second)
    place = _fixture(tmp_path, "in-place", nodes, 4, keys={"data-main": 1000, "data-b": 1000})
    code, said = call("recover", "--yes", *place)
    assert code == 6 and "ctm-3 is in another cluster, with ctm-4" in said and "ERASES" not in said, said
    code, said = call("recover", "--rejoin", "ctm-3,ctm-4", *place)
    assert code == 3 and "ERASES ctm-3" in said, said


def test_a_join_that_somebody_says_is_done_is_looked_at(tmp_path: Path) -> None:
    faults = [{"kind": "join_fails", "node": "ctm-3", "at": 0.5, "code": "vanish", "times": 0}]
    place = _fixture(tmp_path, "rebuild", _plain(), faults=faults)
    assert call("run", "--yes", *place)[0] == 5
    assert call("node", "done", "latest", "ctm-3", "--reason", "me", *place)[0] == 0
    assert call("resume", "--yes", *place)[0] == 9, "it is empty, and in no cluster"
    assert _world(tmp_path)["ctm-3"]["cluster"] == ""


def test_a_join_by_hand_is_proven_by_the_look(tmp_path: Path) -> None:
    faults = [{"kind": "join_fails", "node": "ctm-3", "at": 0.5, "code": "vanish", "times": 0}]
    place = _fixture(tmp_path, "rebuild", _plain(), faults=faults)
    assert call("run", "--yes", *place)[0] == 5
    one = _world(tmp_path)["ctm-1"]
    _change(tmp_path, "ctm-3", cluster=one["cluster"], data=one["data"])
    assert call("node", "done", "latest", "ctm-3", "--reason", "joined by hand", *place)[0] == 0
    assert call("resume", "--yes", *place)[0] == 0


def test_a_new_instance_that_holds_something_is_not_erased(tmp_path: Path) -> None:
    nodes = [*_plain(2, cluster="main"), {"name": "ctm-2-new", "host": "10.0.0.99", "data": "data-other",
             "version": NEW, "users": ["admin", "a", "b"]}]  # fmt: skip
    keys = {"data-main": 1000, "data-other": 500}
    place = _fixture(tmp_path, "rebuild", nodes, 2, keys=keys, clustered=False)
    code, said = call("run", "--yes", "--fresh", "ctm-2=10.0.0.99", *place)
    assert code == 3 and "is not empty: it is in no cluster, and has 500 keys and 3 users" in said, said


def test_recover_leaves_the_node_alone_in_whose_place_a_new_one_was_to_join(tmp_path: Path) -> None:
    nodes = [*_plain(2, cluster="main"),
             {"name": "ctm-2-new", "host": "10.0.0.99", "data": "data-other", "version": NEW}]  # fmt: skip
    faults = [{"kind": "join_fails", "node": "ctm-2-new", "at": 0.5, "code": "k", "times": 1}]
    keys = {"data-main": 1000, "data-other": 0}
    place = _fixture(tmp_path, "rebuild", nodes, 2, keys=keys, clustered=False, faults=faults)
    assert call("run", "--yes", "--fresh", "ctm-2=10.0.0.99", *place)[0] == 5
    code, said = call("recover", *place)
    assert "ERASES ctm-2:" not in said and "ctm-2 is held back with the old data" in said, (code, said)


def test_blocked_replication_is_wrong_for_recover_too(tmp_path: Path) -> None:
    faults = [{"kind": "replication_behind", "node": "ctm-1", "fields": {"replicationBlocked": True}}]
    place = _fixture(tmp_path, "in-place", _plain(version=NEW), faults=faults)
    code, said = call("recover", *place)
    assert code == 6 and "no longer takes changes" in said, said


def test_the_survivor_of_a_rebuild_is_not_left_out(tmp_path: Path) -> None:
    faults = [{"kind": "upgrade_fails", "node": "ctm-1", "at": "middle", "times": 0}]
    place = _fixture(tmp_path, "rebuild", _plain(), faults=faults)
    assert call("run", "--yes", *place)[0] == 5
    code, _ = call("node", "skip", "latest", "ctm-1", "--reason", "me", *place)
    assert code == 2
    assert call("node", "skip", "latest", "ctm-3", "--reason", "me", *place)[0] == 0
