"""Somebody else changes who is a member between a look and the act: nothing living is removed, deleted or erased for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from ctmupgrade.core.model import Options
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.run.journal import Event, StepDone, StepStarted
from ctmupgrade.core.ticks import Tick
from ctmupgrade.sim import Fault, World
from ctmupgrade.sim.state import NEVER
from tests.support import broken
from tests.support.broken import Case
from tests.support.world_run import Drive, Hook, Killed, dies_at, make_world, mend, write_fixture

AGAIN = "99999999-2222-3333-4444-555555555555"


def drive_of(folder: Path) -> Drive:
    """A rebuild of three nodes, with ctm-1 as its survivor."""
    return Drive(make_world(3), folder, StrategyName.REBUILD, options=Options(survivor="ctm-1"))


def after(step: str, act: Callable[[], object], kind: type[StepDone | StepStarted] = StepDone) -> Hook:
    """A hook that does something once, right after a step's event was journaled."""
    done: list[str] = []

    def hook(key: str, event: Event | None, _tick: Tick | None) -> None:
        if key == step and isinstance(event, kind) and not done:
            done.append(step)
            act()

    return hook


def into(world: World, name: str, cluster: str, node_id: str = AGAIN) -> None:
    """Somebody joins a node into a cluster."""
    node = world.nodes[name]
    node.cluster, node.node_id = cluster, node_id
    node.removed_at, node.removed_id, node.config_left = NEVER, "", False


def deletions(world: World, node: str = "") -> list[str]:
    return [e.detail for e in world.changes() if "cluster delete" in e.detail and node in ("", e.node)]


def removals(world: World) -> list[str]:
    return [e.detail for e in world.changes() if "nodes delete" in e.detail]


def stopped_at(drive: Drive, step: str, code: int = 6) -> str:
    """The words and the remedy of the one step that is stuck; resuming it changes nothing."""
    said = ""
    for again in (drive.start, drive.resume) if not drive.processes else (drive.resume, drive.resume):
        assert again() == code, drive.stuck
        [(stuck, held)] = drive.stuck
        assert stuck == step
        said = f"{held.error} {held.remedy}"
    assert not drive.world.of_kind("data_erased") and not drive.world.of_kind("cluster_delete_in_vain")
    return said


# -- a removal ----------------------------------------------------------------------------------------------


def test_a_node_that_has_another_id_now_is_not_taken_for_removed(tmp_path: Path) -> None:
    drive = drive_of(tmp_path)
    drive.hook = after("record-settings:ctm-1", lambda: into(drive.world, "ctm-2", "main"))
    said = stopped_at(drive, "remove:ctm-2")
    assert AGAIN in said and "ctmupgrade abort" in said and "ctmupgrade recover" in said
    assert not deletions(drive.world) and not removals(drive.world)


def test_a_removed_node_that_is_a_member_again_after_a_crash_is_not_taken_for_removed(tmp_path: Path) -> None:
    """The process dies right after the removal was sent; somebody joins the node again before the resume."""
    drive = drive_of(tmp_path)
    drive.hook = dies_at("remove:ctm-2")
    with pytest.raises(Killed):
        drive.start()
    drive.hook = lambda _step, _event, _tick: None
    into(drive.world, "ctm-2", "main")
    assert AGAIN in stopped_at(drive, "remove:ctm-2")


def test_a_strange_address_is_asked_for_its_id(tmp_path: Path) -> None:
    """The list has the address that the other members use, which cluster.yaml does not: only the node itself tells its id."""
    drive = drive_of(tmp_path)

    def moved() -> None:
        into(drive.world, "ctm-2", "main")
        drive.world.nodes["ctm-2"].cluster_host = "172.16.0.12"

    drive.hook = after("record-settings:ctm-1", moved)
    assert AGAIN in stopped_at(drive, "remove:ctm-2")


# -- the deletion of what a removed node still has ------------------------------------------------------------


@pytest.mark.parametrize("cluster", ["main", "another"])
def test_a_removed_node_that_is_a_member_again_is_not_told_to_leave(cluster: str, tmp_path: Path) -> None:
    drive = drive_of(tmp_path)
    drive.hook = after("remove:ctm-2", lambda: into(drive.world, "ctm-2", cluster))
    said = stopped_at(drive, "delete-cluster:ctm-2")
    assert "member of a cluster again" in said and "ctmupgrade abort" in said
    assert not deletions(drive.world)


def test_a_member_again_that_does_not_tell_its_id_is_not_told_to_leave(tmp_path: Path) -> None:
    """Its login fails, as it does after a removal: what its remover lists counts."""
    drive = drive_of(tmp_path)

    def again() -> None:
        into(drive.world, "ctm-2", "main")
        drive.world.inject(Fault("unauthorized", "ctm-2", times=0, params={"command": "ksctl"}))

    drive.hook = after("remove:ctm-2", again)
    assert "ctm-1 lists it as ready" in stopped_at(drive, "delete-cluster:ctm-2")
    assert not deletions(drive.world)


def test_a_list_that_is_not_told_is_not_an_empty_one(tmp_path: Path) -> None:
    """The survivor's list is an error for a moment, and somebody is in it."""
    drive = drive_of(tmp_path)

    def again() -> None:
        into(drive.world, "ctm-2", "main")
        error: dict[str, object] = {"command": "ksctl cluster nodes list"}
        drive.world.inject(Fault("error", "ctm-1", for_s=40.0, times=0, params=error))

    drive.hook = after("delete-cluster:ctm-3", again)
    said = stopped_at(drive, "delete-cluster:ctm-1", code=5)
    assert "removes only the last node" in said and "ctmupgrade abort" in said
    assert not deletions(drive.world, "ctm-1")


# -- a new cluster --------------------------------------------------------------------------------------------


def test_a_cluster_that_was_there_before_is_not_our_new_one(tmp_path: Path) -> None:
    """Somebody joined the survivor into another cluster, which replaced its data: the others are the last copies."""
    drive = drive_of(tmp_path)
    drive.hook = after("await:ctm-1", lambda: into(drive.world, "ctm-1", "foreign"))
    said = stopped_at(drive, "new-cluster:ctm-1")
    assert "this run did not make" in said and "ctmupgrade node done" in said
    assert not [e for e in drive.world.changes() if "cluster new" in e.detail]


def test_a_cluster_that_came_before_ours_was_sent_is_not_our_new_one(tmp_path: Path) -> None:
    drive = drive_of(tmp_path)
    act = after("new-cluster:ctm-1", lambda: into(drive.world, "ctm-1", "foreign"), StepStarted)
    drive.hook = act
    assert drive.start() == 6, drive.stuck
    [(step, held)] = drive.stuck
    assert step == "new-cluster:ctm-1" and "already clustered" in held.error
    assert not drive.world.of_kind("data_erased")


def test_a_cluster_with_others_is_not_our_new_one(tmp_path: Path) -> None:
    drive = drive_of(tmp_path)

    def pair() -> None:
        into(drive.world, "ctm-1", "pair")
        into(drive.world, "ctm-2", "pair", "feed" * 8)

    drive.hook = dies_at("new-cluster:ctm-1")
    with pytest.raises(Killed):
        drive.start()
    drive.hook = lambda _step, _event, _tick: None
    pair()
    said = stopped_at(drive, "new-cluster:ctm-1")
    assert "10.0.0.12" in said and "ctmupgrade abort" in said


def test_our_own_new_cluster_is_known_after_a_crash(tmp_path: Path) -> None:
    """The process dies after `cluster new` reached the node, before any look."""
    drive = drive_of(tmp_path)

    def made(key: str, event: Event | None, tick: Tick | None) -> None:
        if key == "new-cluster:ctm-1" and drive.world.of_kind("cluster_new"):
            raise Killed

    drive.hook = made
    with pytest.raises(Killed):
        drive.start()
    drive.hook = lambda _step, _event, _tick: None
    assert drive.resume() == 0, drive.stuck
    assert len(drive.world.of_kind("cluster_new")) == 1


def test_our_own_new_cluster_that_came_late_is_known_when_it_is_sent_again(tmp_path: Path) -> None:
    """It was sent, nothing came of it, and a person says to send it again: only then it is there."""
    drive = drive_of(tmp_path)
    drive.world.inject(
        Fault("error", "ctm-1", "command ksctl cluster new", times=0, params={"text": "NCERRBadRequest: no"})
    )
    assert drive.start() == 5, drive.stuck
    drive.world.faults.clear()
    into(drive.world, "ctm-1", "late")
    drive.decide("ctm-1", "retry")
    assert drive.resume() == 0, drive.stuck
    assert not drive.world.of_kind("cluster_new")


def test_a_person_may_say_that_the_cluster_is_the_one(tmp_path: Path) -> None:
    """Who made it by hand, on the node with the data."""
    drive = drive_of(tmp_path)
    drive.hook = after("await:ctm-1", lambda: into(drive.world, "ctm-1", "by-hand"))
    assert drive.start() == 6
    drive.decide("ctm-1", "done")
    assert drive.resume() == 0, drive.stuck
    assert {n.cluster for n in drive.world.nodes.values()} == {"by-hand"}


# -- gone for good --------------------------------------------------------------------------------------------


def asked(folder: Path, *faults: Mapping[str, object], count: int = 3) -> Case:
    """A case with these faults, and ctm-3 given up."""
    nodes = [{"name": f"ctm-{i + 1}"} for i in range(count)]
    return Case(write_fixture(folder, "in-place", nodes, count, faults=list(faults)), ["--gone", "ctm-3"])


@pytest.mark.parametrize("peers", [True, False], ids=["itself", "as a member sees it"])
def test_a_node_that_is_back_is_not_removed_as_gone(peers: bool, tmp_path: Path) -> None:
    """Silent when a person said so, back when its turn comes; perhaps not reachable from here even then."""
    dead = {"kind": "unreachable", "node": "ctm-3"}
    with broken.recovery(asked(tmp_path, dead), tmp_path) as (made, world, seen):
        assert "remove:ctm-3" in [s.id for s in seen.plan.steps]
        mend(world)
        if not peers:
            world.inject(Fault("unreachable", "ctm-3", params={"peers": False}))
        outcome, _ = broken.take(made, seen)
        assert outcome.code == 6 and not removals(world) and outcome.state is not None
        held = outcome.state.steps["remove:ctm-3"]
        words = "it answers again" if peers else "ctm-1 and ctm-2 list it as ready"
        assert (
            words in held.error and "ctmupgrade abort" in held.remedy and "ctmupgrade recover" in held.remedy
        )


def test_a_node_that_its_cluster_sees_alive_is_not_given_up(tmp_path: Path) -> None:
    """Only the way from this machine is broken: no remedy gives it up, and who asks for that is refused."""
    cut = {"kind": "unreachable", "node": "ctm-3", "params": {"peers": False}}
    found = asked(tmp_path, cut)
    for words in ((), ("--gone", "ctm-3"), ("--gone", "ctm-3", "--yes")):
        code, said = broken.ask(found, tmp_path, *words)
        assert code == 6 and "ctm-1 and ctm-2 list it as ready and connected" in said
        assert "remove:ctm-3" not in said and "--gone" not in said
        assert "way from this machine" in said and "wait until no other node lists it" in said


def test_of_many_that_are_alive_none_is_given_up(tmp_path: Path) -> None:
    lost = [f"ctm-{i}" for i in range(2, 8)]
    faults: list[Mapping[str, object]] = [
        {"kind": "unreachable", "node": name, "params": {"peers": False}} for name in lost
    ]
    code, said = broken.ask(asked(tmp_path, *faults, count=7), tmp_path, "--gone", ",".join(lost), "--yes")
    assert code == 6 and "remove:" not in said
    assert said.count("it is not removed") == len(lost)


def test_a_node_that_was_ready_a_moment_ago_is_given_up_when_it_no_longer_is(tmp_path: Path) -> None:
    """As the refusal says: wait until no other node lists it as ready."""
    found = asked(tmp_path, {"kind": "unreachable", "node": "ctm-3"})
    with broken.recovery(found, tmp_path) as (made, world, seen):
        outcome, _ = broken.take(made, seen)
        assert outcome.code == 0 and world.of_kind("node_removed", "ctm-3")
