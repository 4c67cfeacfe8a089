"""Promise 5 where the cluster changed between two looks, or a person said that something is done: the only copy stays.

Each was found by readers who changed the world between two commands; what happened is read from the world's own log.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ctmupgrade.collect.settings import passes_by_itself, read_settings
from ctmupgrade.commands import recover
from ctmupgrade.core.model import Options
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.recovery.scene import OperatorInput
from ctmupgrade.core.run.journal import Event, StepDone
from ctmupgrade.errors import (
    ConnectionLostError,
    CtmUpgradeError,
    HostKeyError,
    LoginRefusedError,
    UnreachableError,
)
from ctmupgrade.ports import Reply
from ctmupgrade.sim import Fault
from ctmupgrade.sim.control import SimControl
from tests.support.golden import call
from tests.support.world_run import Drive, Killed, dies_at, make_world, write_fixture

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


def _faults(folder: Path, faults: list[dict[str, Any]]) -> None:
    for path in folder.glob("state/*/*/world.json"):
        world = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps({**world, "faults": faults}), encoding="utf-8")


@pytest.mark.parametrize("options", [(), ("--reset-before-join",)])
def test_nothing_joins_a_survivor_that_lost_the_data(tmp_path: Path, options: Kept) -> None:
    """Somebody reset it, and made a new cluster on it, while the run was paused."""
    place = _fixture(tmp_path, "rebuild", _plain(), keys={"data-main": 1000, "data-new": 0})
    assert call("run", "--yes", "--stop-after", "ctm-1", *options, *place)[0] == 7
    _change(tmp_path, "ctm-1", data="data-new", cluster="cluster-0099", node_id="f" * 32)
    code, said = call("resume", "--yes", *place)
    assert code == 6 and "ctm-1 has 0 of 1000 keys, so" in said, said
    after = _world(tmp_path)
    assert {after[name]["data"] for name in ("ctm-2", "ctm-3")} == {"data-main"}


def test_recover_does_not_erase_the_node_with_the_data_for_an_empty_cluster(tmp_path: Path) -> None:
    nodes = _plain(version=NEW, cluster="A", data="data-b")
    nodes[2].update(cluster="", data="data-main")
    place = _fixture(tmp_path, "in-place", nodes, keys={"data-main": 1000, "data-b": 0})
    code, said = call("recover", "--yes", *place)
    assert code == 6 and "ctm-3 is not erased: ctm-1 has 0 of 1000 keys that ctm-3 has" in said
    code, said = call("recover", "--rejoin", "ctm-3", "--yes", *place)
    assert code == 6 and "ctm-3 is not erased" in said, "one name may be a slip"
    assert not list(tmp_path.glob("state/*/*/journal.jsonl")), "nothing was begun"
    code, said = call("recover", "--rejoin", "ctm-3", "--survivor", "ctm-1", *place)
    assert code == 3 and "ERASES ctm-3" in said and "ctm-1 has 0 of 1000 keys that it has" in said, said
    code, said = call("recover", "--rejoin", "ctm-3", "--survivor", "ctm-1", "--yes", *place)
    assert code == 0 and "reset:ctm-3 done" in said, "a person has named both"


def test_recover_asks_where_a_node_has_a_few_keys_more(tmp_path: Path) -> None:
    nodes = _plain(version=NEW, cluster="A", data="data-b")
    nodes[2].update(cluster="", data="data-main")
    place = _fixture(tmp_path, "in-place", nodes, keys={"data-main": 1000, "data-b": 900})
    code, said = call("recover", *place)
    assert code == 6 and "it has more keys than ctm-1 (1000, not 900)" in said, said
    code, said = call("recover", "--rejoin", "ctm-3", *place)
    assert code == 3 and "ERASES ctm-3" in said, "a person has named it"


def test_what_members_lost_after_the_look_stops_the_reset(tmp_path: Path) -> None:
    """In a recovery nothing was recorded of the member that lets it in."""
    nodes = _plain(version=NEW, cluster="A", data="data-main")
    nodes[2].update(cluster="")
    drive = Drive(make_world(nodes=nodes, keys={"data-main": 100}), tmp_path)
    found = recover.look(drive.setup(), OperatorInput())
    assert "reset:ctm-3" in {step.id for step in found.plan.steps}

    def lose(key: str, event: Event | None, _tick: object) -> None:
        if key == "backup:ctm-3" and isinstance(event, StepDone):
            for name in ("ctm-1", "ctm-2"):
                drive.world.nodes[name].data = "data-empty"

    drive.hook = lose
    assert drive.start(found.plan) == 6
    assert "ctm-1 has 0 of 100 keys that ctm-3 has" in drive.stuck[0][1].error
    assert drive.world.nodes["ctm-3"].data == "data-main"


def test_what_the_survivor_never_had_stops_the_join(tmp_path: Path) -> None:
    """What was recorded of the survivor is what it has; the others had more."""
    place = _fixture(tmp_path, "rebuild", _plain(), keys={"data-main": 10, "data-more": 100})
    assert call("run", "--yes", "--stop-after", "ctm-1", *place)[0] == 7
    _change(tmp_path, "ctm-2", data="data-more")
    code, said = call("resume", "--yes", *place)
    assert code == 6 and "ctm-1 has 10 of 100 keys that ctm-2 has, so" in said, said
    assert _world(tmp_path)["ctm-2"]["data"] == "data-more"


@pytest.mark.parametrize("code", ["k", "d"])
def test_a_member_that_answers_is_backed_up_before_it_is_erased(tmp_path: Path, code: str) -> None:
    """What others call killed or down may have been written to, and have as many keys of its own."""
    nodes = _plain(version=NEW, cluster="A", data="data-main")
    nodes[2].update(data="data-mine")
    fault = {"kind": "member_code", "node": "ctm-3", "params": {"code": code}}
    place = _fixture(tmp_path, "in-place", nodes, faults=[fault], keys={"data-main": 100, "data-mine": 150})
    told, said = call("recover", *place)
    assert told == 6 and "150" in said and "100" in said, said
    told, said = call("recover", "--rejoin", "ctm-3", "--format", "json", *place)
    steps = [step["id"] for step in json.loads(said)["steps"]]
    assert told == 3 and steps.index("backup:ctm-3") == steps.index("reset:ctm-3") - 1, said


def _join_refused(tmp_path: Path) -> Kept:
    """Two nodes; every join is refused, so nothing is erased. Then the survivor burns."""
    faults = [{"kind": "consensus_down", "node": "ctm-1"}]
    place = _fixture(tmp_path, "rebuild", _plain(2), 2, keys={"data-main": 100})
    assert call("run", "--yes", "--stop-after", "ctm-1", "--survivor", "ctm-1", *place)[0] == 7
    _faults(tmp_path, faults)
    assert call("resume", "--yes", *place)[0] == 5
    _faults(tmp_path, [{"kind": "unreachable", "node": "ctm-1"}])
    return place


def test_a_node_that_shows_its_keys_was_not_emptied(tmp_path: Path) -> None:
    place = _join_refused(tmp_path)
    code, said = call("recover", "--gone", "ctm-1", *place)
    assert code == 6 and "Healthy nodes with data: ctm-2 (2.21.0+15451, 100 keys)" in said, said
    code, said = call("recover", "--gone", "ctm-1", "--survivor", "ctm-2", "--yes", *place)
    assert code == 0 and "new-cluster:ctm-2 done" in said and "ERASES" not in said, said


def _emptied_survivor(tmp_path: Path, count: int = 3) -> Kept:
    """A survivor that lost its data and formed the new cluster; the rebuild stopped rightly."""
    place = _fixture(tmp_path, "rebuild", _plain(count), count, keys={"data-main": 100, "data-new": 0})
    assert call("run", "--yes", "--stop-after", "ctm-1", *place)[0] == 7
    _change(tmp_path, "ctm-1", data="data-new")
    assert call("resume", "--yes", *place)[0] == 6
    return place


def test_an_emptied_survivor_is_replaced_by_the_node_with_the_data(tmp_path: Path) -> None:
    place = _emptied_survivor(tmp_path)
    code, said = call("recover", "--rejoin", "ctm-2,ctm-3", "--yes", *place)
    assert code == 6 and "ctm-1 has 0 of 100 keys that each of them has" in said, said
    assert "recover --rejoin ctm-3 --survivor ctm-2" in said, said
    code, said = call("recover", "--rejoin", "ctm-1", *place)
    assert code == 6 and "recover --rejoin ctm-1 --survivor ctm-2" in said, said
    code, said = call("recover", "--rejoin", "ctm-1", "--survivor", "ctm-2", "--yes", *place)
    assert code == 0 and "nothing is wrong; clients are served by ctm-1, ctm-2, ctm-3" in said, said
    assert "new-cluster:ctm-2 done" in said and "FEWER" not in said, said
    assert "backup:ctm-1" not in said, "it has nothing that a backup would save"


def test_an_emptied_survivor_of_two_stays_apart_until_it_is_named(tmp_path: Path) -> None:
    """Then each of the two forms a cluster alone: what a person named counts, and is no error afterwards."""
    place = _emptied_survivor(tmp_path, 2)
    code, said = call("recover", "--survivor", "ctm-2", "--yes", *place)
    assert code == 6 and "new-cluster:ctm-2 done" in said and "ERASES" not in said, said
    assert "ctm-1 is outside the cluster; clients are served by ctm-2 alone" in said, said


def test_a_survivor_that_cannot_be_the_base_is_refused(tmp_path: Path) -> None:
    nodes = _plain(version=NEW, cluster="A", data="data-main")
    nodes[2].update(cluster="")
    place = _fixture(tmp_path, "in-place", nodes, keys={"data-main": 100})
    code, said = call("recover", "--survivor", "ctm-3", "--format", "json", *place)
    assert code == 2 and "--survivor ctm-3 cannot be followed: ctm-1, ctm-2 form a cluster" in said, said
    code, said = call("recover", "--survivor", "ctm-9", "--format", "json", *place)
    assert code == 2 and "ctm-9" in said, said


def test_the_journal_of_an_aborted_rebuild_names_who_kept_the_data(tmp_path: Path) -> None:
    place = _fixture(tmp_path, "rebuild", _plain(), keys={"data-main": 100})
    assert call("run", "--yes", "--stop-after", "ctm-1", *place)[0] == 7
    kept = next(tmp_path.glob("state/*/*/world.json")).read_text(encoding="utf-8")
    (tmp_path / "fixture" / "world.yaml").write_text(kept, encoding="utf-8")
    assert call("abort", "--yes", *place)[0] == 0
    code, said = call("recover", *place)
    assert code == 3 and "join:ctm-2" in said and "no journal here" not in said, said


@pytest.mark.parametrize("second", ["data-main", "data-b"])
def test_recover_erases_no_other_living_cluster(tmp_path: Path, second: str) -> None:
    """Two clusters of two: whose data counts is for a person, also where both have as many keys."""
    nodes = _plain(4, version=NEW, cluster="A")
    for node in nodes:
        node.update(data="data-main")
    for node in nodes[2:]:
        node.update(cluster="B", data=second)
    place = _fixture(tmp_path, "in-place", nodes, 4, keys={"data-main": 1000, "data-b": 1000})
    code, said = call("recover", "--yes", *place)
    assert code == 6 and "ctm-3 is in another cluster, with ctm-4" in said and "ERASES" not in said, said
    code, said = call("recover", "--rejoin", "ctm-3,ctm-4", *place)
    assert code == 6 and "ERASES" not in said, "`cluster delete` ends none of several members"
    assert "leave ctm-3 alone in it" in said and "https://10.0.0.13 ksctl cluster nodes delete" in said, said
    code, said = call("recover", "--survivor", "ctm-3", *place)
    assert code == 6 and "leave ctm-1 alone in it" in said and "ERASES" not in said, said


def test_a_survivor_of_another_cluster_is_told_the_way_by_hand(tmp_path: Path) -> None:
    nodes = _plain(version=NEW, cluster="A", data="data-b")
    nodes[2].update(cluster="B", data="data-main")
    place = _fixture(tmp_path, "in-place", nodes, keys={"data-main": 1000, "data-b": 900})
    code, said = call("recover", "--survivor", "ctm-3", "--format", "json", *place)
    error = json.loads(said)["error"]
    assert code == 2 and "leave ctm-1 alone in the other by hand" in error["brief"], said
    assert error["details"].startswith("KSCTL_URL=https://10.0.0.11 ksctl cluster nodes delete --id "), said
    assert error["remedy"].endswith("--rejoin ctm-1,ctm-2 --survivor ctm-3"), said
    code, said = call("recover", "--rejoin", "ctm-1,ctm-2", "--survivor", "ctm-3", "--yes", *place)
    assert code == 6 and "leave ctm-1 alone in it" in said and "delete-cluster" not in said, said


def test_a_cluster_that_was_taken_apart_by_hand_joins_the_one_that_is_kept(tmp_path: Path) -> None:
    nodes = _plain(version=NEW, cluster="A", data="data-b")
    nodes[1].update(cluster="")
    nodes[2].update(cluster="B", data="data-main")
    place = _fixture(tmp_path, "in-place", nodes, keys={"data-main": 1000, "data-b": 900})
    code, said = call("recover", "--rejoin", "ctm-1,ctm-2", "--survivor", "ctm-3", "--yes", *place)
    assert code == 0 and "nothing is wrong; clients are served by ctm-1, ctm-2, ctm-3" in said, said


def _half_joined(tmp_path: Path, count: int) -> Kept:
    """ctm-2's join died when it had 60 of 100 keys; then the survivor burns."""
    keys = {"data-main": 100, "data-part": 60}
    place = _fixture(tmp_path, "rebuild", _plain(count), count, keys=keys)
    assert call("run", "--yes", "--stop-after", "ctm-1", "--survivor", "ctm-1", *place)[0] == 7
    _faults(tmp_path, [{"kind": "join_fails", "node": "ctm-2", "params": {"at": 0.5, "code": "k"}}])
    assert call("resume", "--yes", *place)[0] == 5
    _change(tmp_path, "ctm-2", data="data-part", cluster="", join=None)
    _faults(tmp_path, [{"kind": "unreachable", "node": "ctm-1"}])
    return place


def test_a_half_finished_copy_is_not_the_data(tmp_path: Path) -> None:
    place = _half_joined(tmp_path, 2)
    for words in ((), ("--gone", "ctm-1"), ("--gone", "ctm-1", "--survivor", "ctm-2", "--yes")):
        code, said = call("recover", *words, *place)
        assert code == 6 and "no node is known to serve clients" in said, said
        assert "Healthy nodes with data" not in said and "new-cluster" not in said, said
        assert "only a part of the data (60 of 100 keys)" in said, said
        assert ("ctm-1 kept the data in run" in said) is (not words), said


def test_nothing_is_erased_for_a_half_finished_copy(tmp_path: Path) -> None:
    place = _half_joined(tmp_path, 3)
    code, said = call("recover", "--gone", "ctm-1", "--survivor", "ctm-2", "--yes", *place)
    assert code == 6 and "60 of 100 keys" in said and "ERASES" not in said, said
    assert "recover --gone ctm-1 --survivor ctm-3" in said, "that one has all"
    code, said = call("recover", "--gone", "ctm-1", *place)
    assert code == 3 and "new-cluster:ctm-3" in said and "backup:ctm-2" in said, said
    assert "ctm-2: the part of the data that a join brought it (60 of 100 keys)" in said, said


def test_both_numbers_are_told_where_a_person_gives_keys_up(tmp_path: Path) -> None:
    nodes = _plain(version=NEW, cluster="A", data="data-b")
    nodes[2].update(cluster="", data="data-main")
    place = _fixture(tmp_path, "in-place", nodes, keys={"data-main": 1000, "data-b": 900})
    code, said = call("recover", "--rejoin", "ctm-3", *place)
    assert code == 3 and "ctm-1 has 900 of 1000 keys that it has" in said, said


def test_a_dead_joiner_that_can_make_no_backup_is_repaired(tmp_path: Path) -> None:
    nodes = _plain(version=NEW, cluster="A", data="data-main")
    nodes[2].update(data="data-none")
    faults: list[dict[str, Any]] = [
        {"kind": "member_code", "node": "ctm-3", "for_s": 60.0, "params": {"code": "k"}},
        {"kind": "backup_fails", "node": "ctm-3", "times": 0},
    ]
    place = _fixture(tmp_path, "in-place", nodes, keys={"data-main": 100, "data-none": 0}, faults=faults)
    code, said = call("recover", "--yes", *place)
    assert code == 0 and "backup:ctm-1 done" in said and "backup:ctm-3" not in said, said
    assert "ctm-3: no data (it has no key, and no user but the first)" in said, said


def test_two_that_are_named_are_not_proposed_again_and_again(tmp_path: Path) -> None:
    nodes = _plain(version=NEW, cluster="A", data="data-b")
    nodes[2].update(cluster="", data="data-main")
    place = _fixture(tmp_path, "in-place", nodes, keys={"data-main": 1000, "data-b": 0})
    code, said = call("recover", "--rejoin", "ctm-1,ctm-2", *place)
    assert code == 6 and "ask vendor support" in said and "--survivor ctm-3" not in said, said


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


def _loses(drive: Drive, *faults: Fault) -> None:
    """After the backup of ctm-3 the others lose the data, and these faults begin."""

    def lose(key: str, event: Event | None, _tick: object) -> None:
        if key == "backup:ctm-3" and isinstance(event, StepDone):
            for name in ("ctm-1", "ctm-2"):
                drive.world.nodes[name].data = "data-empty"
            drive.world.inject(*faults)

    drive.hook = lose


def _apart(folder: Path) -> Drive:
    nodes = _plain(version=NEW, cluster="A", data="data-main")
    nodes[2].update(cluster="")
    return Drive(make_world(nodes=nodes, keys={"data-main": 100}), folder)


def _no_count(node: str, seconds: float, **more: Any) -> Fault:
    return Fault("error", node, for_s=seconds, times=0, params={"command": "ksctl keys list", **more})


@pytest.mark.parametrize("node", ["ctm-1", "ctm-3"])
def test_a_count_that_is_not_told_now_is_waited_for_before_a_reset(node: str, tmp_path: Path) -> None:
    """An answer that passes by itself must not switch off the last comparison."""
    drive = _apart(tmp_path)
    _loses(drive, _no_count(node, 150.0))
    assert drive.start(recover.look(drive.setup(), OperatorInput()).plan) == 6
    assert "ctm-1 has 0 of 100 keys that ctm-3 has" in drive.stuck[0][1].error
    assert drive.world.nodes["ctm-3"].data == "data-main"


@pytest.mark.parametrize("fault", ["unauthorized", "error"])
def test_a_count_that_is_not_told_for_long_stops_the_reset(fault: str, tmp_path: Path) -> None:
    drive = _apart(tmp_path)
    _loses(drive, Fault(fault, "ctm-1", for_s=9000.0, times=0, params={"command": "ksctl keys list"}))
    assert drive.start(recover.look(drive.setup(), OperatorInput()).plan) in (4, 5)
    assert drive.world.nodes["ctm-3"].data == "data-main" and not drive.world.of_kind("data_erased")


@pytest.mark.parametrize(
    ("error", "passes"),
    [(UnreachableError, True), (ConnectionLostError, True), (LoginRefusedError, True), (HostKeyError, False)],
)
def test_a_count_for_which_nothing_answers_passes_by_itself(
    error: type[CtmUpgradeError], passes: bool
) -> None:
    """Whatever words the connection broke with; another machine's key does not mend itself."""

    class Silent(SimControl):
        def read(self, *_argv: str, **_more: object) -> Reply:
            raise error("10.0.0.11: it is gone")

    told = read_settings(Silent(make_world(), "ctm-1"), ("keys",))
    assert passes_by_itself(told["keys"]) is passes, told


def test_a_count_that_no_version_tells_is_not_compared(tmp_path: Path) -> None:
    drive = _apart(tmp_path)
    words = 'unknown command "keys" for "ksctl"'
    drive.world.inject(_no_count("ctm-1", 90000.0, text=words))
    assert drive.start(recover.look(drive.setup(), OperatorInput()).plan) == 0, drive.stuck


def test_a_recorded_count_that_is_not_told_now_is_waited_for_before_a_join(tmp_path: Path) -> None:
    """The members that stay have lost it, and what joins does not tell how much it has, in any version."""
    place = _fixture(tmp_path, "rebuild", _plain(), keys={"data-main": 1000, "data-new": 0})
    assert call("run", "--yes", "--stop-after", "ctm-1", *place)[0] == 7
    _change(tmp_path, "ctm-1", data="data-new", cluster="cluster-0099", node_id="f" * 32)
    away = {
        "kind": "error",
        "node": "ctm-1",
        "for_s": 6500.0,
        "times": 0,
        "params": {"command": "ksctl keys list"},
    }
    never = {"kind": "error", "times": 0, "params": {"command": "ksctl keys list", "text": "unknown command"}}
    _faults(tmp_path, [away, *({**never, "node": name} for name in ("ctm-2", "ctm-3"))])
    code, said = call("resume", "--yes", *place)
    assert code == 5 and "ctm-1 does not tell now how many keys it has" in said, said
    after = _world(tmp_path)
    assert {after[name]["data"] for name in ("ctm-2", "ctm-3")} == {"data-main"}


def test_what_was_begun_to_join_need_not_tell_what_it_has(tmp_path: Path) -> None:
    """Its own data goes when its join begins, and it may not answer until that is done again."""
    drive = Drive(make_world(3), tmp_path, StrategyName.REBUILD, options=Options(survivor="ctm-1"))
    drive.hook = dies_at("join:ctm-2")
    with pytest.raises(Killed):
        drive.start()
    drive.hook = lambda _step, _event, _tick: None
    drive.world.inject(_no_count("ctm-2", 2400.0))
    assert drive.resume() == 0, drive.stuck


def test_how_to_give_up_keys_is_said_where_recover_shows_it(tmp_path: Path) -> None:
    """Clients destroyed two of the survivor's three keys while it served alone."""
    place = _fixture(tmp_path, "rebuild", _plain(), keys={"data-main": 3, "data-now": 1})
    assert call("run", "--yes", "--stop-after", "ctm-1", "--survivor", "ctm-1", *place)[0] == 7
    _change(tmp_path, "ctm-1", data="data-now")
    code, said = call("resume", "--yes", *place)
    assert code == 6 and "if the keys of ctm-2 are not needed, this shows how to give them up" in said, said
    assert "only when they are back there, to run it again: ctmupgrade node retry" in said, said
    code, said = call("recover", *place)
    assert code == 6 and "to give up what only ctm-2, ctm-3 have, name all" in said, said
    assert said.count("--rejoin") == 1 and "recover --rejoin ctm-2,ctm-3 --survivor ctm-1" in said, said
    code, said = call("recover", "--rejoin", "ctm-2,ctm-3", "--survivor", "ctm-1", "--yes", *place)
    assert code == 0, said


def test_both_names_give_up_what_a_node_never_tells(tmp_path: Path) -> None:
    """A node apart whose number of keys answers HTTP 500 for good: without a way to give it up it could never be joined."""
    nodes = _plain(version=NEW, cluster="A")
    nodes[2].update(cluster="", data="data-b")
    silent = {
        "kind": "error",
        "node": "ctm-3",
        "times": 0,
        "for_s": 1e6,
        "params": {"command": "ksctl keys list"},
    }
    place = _fixture(tmp_path, "in-place", nodes, keys={"data-main": 100, "data-b": 100}, faults=[silent])
    assert call("recover", "--yes", "--rejoin", "ctm-3", *place)[0] in (5, 6)
    assert _world(tmp_path)["ctm-3"]["data"] == "data-b"
    code, said = call("recover", "--yes", "--rejoin", "ctm-3", "--survivor", "ctm-1", *place)
    assert code == 0, said
