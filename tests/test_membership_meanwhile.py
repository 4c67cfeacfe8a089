"""Somebody else changes who is a member between a look and the act: nothing living is removed, deleted or erased for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ctmupgrade.actions import new_cluster
from ctmupgrade.actions.base import Ctx
from ctmupgrade.actions.new_cluster import NewClusterHandler
from ctmupgrade.commands import recover
from ctmupgrade.core.model import Options
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.plan.steps import Step
from ctmupgrade.core.recovery.scene import OperatorInput
from ctmupgrade.core.run.journal import Event, Evidence, StepDone, StepNoted, StepStarted
from ctmupgrade.core.ticks import Tick
from ctmupgrade.ports import Reply
from ctmupgrade.sim import Fault, SimFleet, World
from ctmupgrade.sim.control import SimControl
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


# -- what is as it was, or only late, stops nothing -----------------------------------------------------------

OLD = "1234" * 8
Answer = Callable[[World, str, tuple[str, ...], Reply], Reply | None]


def fleet_that(answers: Answer) -> Callable[[World], SimFleet]:
    """Nodes whose control planes answer a look otherwise, where ``answers`` says how; a change with an answer to "changed" is
    not made."""

    class Control(SimControl):
        def read(self, *argv: str, **more: Any) -> Reply:
            told = super().read(*argv, **more)
            return answers(self.world, self.name, argv, told) or told

        def change(self, *argv: str, **more: Any) -> Reply:
            mine = answers(self.world, self.name, ("changed", *argv), Reply(0, "{}", ""))
            return mine or super().change(*argv, **more)

    class Fleet(SimFleet):
        def control(self, node: str) -> SimControl:
            super().control(node)
            return Control(self.world, node)

    return Fleet


def saying(**fields: object) -> Reply:
    return Reply(0, json.dumps(fields), "")


def with_mates(told: Reply, code: str, *mates: tuple[str, str]) -> Reply | None:
    """The list of members, with these as well: (id, host)."""
    if not told.out.startswith("{"):
        return None
    listed = json.loads(told.out)
    rows = [{"nodeID": i, "host": host, "status": {"code": code, "description": code}} for i, host in mates]
    return saying(**{**listed, "resources": [*(listed["resources"] or []), *rows]})


def keeps_its_id(name: str, other: str = "") -> Answer:
    """What is in no cluster keeps its id, or has another, with an empty code: that is one that left
    (:attr:`ctmupgrade.core.looks.cluster_views.Membership.left`)."""
    ids: list[str] = []

    def answers(world: World, node: str, argv: tuple[str, ...], told: Reply) -> Reply | None:
        if node != name or argv[:2] != ("cluster", "info") or not told.out.startswith("{"):
            return None
        said = json.loads(told.out)
        if world.nodes[node].cluster:
            ids.append(said["nodeID"])
            return None
        return saying(**{**said, "nodeID": other or ids[-1], "status": {"code": ""}})

    return answers


@pytest.mark.parametrize("dies", [False, True])
def test_a_survivor_that_left_and_keeps_its_id_makes_the_new_cluster(dies: bool, tmp_path: Path) -> None:
    """Also where the process died before it was sent: the old id is no cluster that comes."""
    drive = drive_of(tmp_path)
    drive.fleet_of = fleet_that(keeps_its_id("ctm-1"))
    if dies:
        drive.hook = dies_at("new-cluster:ctm-1")
        with pytest.raises(Killed):
            drive.start()
        drive.hook = lambda _step, _event, _tick: None
    assert (drive.resume if dies else drive.start)() == 0, drive.stuck
    assert len(drive.world.of_kind("cluster_new")) == 1


def test_a_removed_node_that_left_is_no_member_by_its_id(tmp_path: Path) -> None:
    drive = drive_of(tmp_path)
    drive.fleet_of = fleet_that(keeps_its_id("ctm-2", OLD))
    assert drive.start() == 0, drive.stuck


def late_list(code: str, seconds: float) -> Answer:
    """After `cluster new` the list still has the old mates for so long."""

    def answers(world: World, node: str, argv: tuple[str, ...], told: Reply) -> Reply | None:
        made = world.of_kind("cluster_new")
        if node != "ctm-1" or argv[:3] != ("cluster", "nodes", "list") or not made:
            return None
        late = world.now < made[0].at + seconds
        return with_mates(told, code, ("a" * 32, "10.0.0.12"), ("b" * 32, "10.0.0.13")) if late else None

    return answers


@pytest.mark.parametrize("code", ["v", "d", "r"])
def test_a_list_that_is_late_after_our_new_cluster_is_waited_for(code: str, tmp_path: Path) -> None:
    drive = drive_of(tmp_path)
    drive.fleet_of = fleet_that(late_list(code, 40.0))
    assert drive.start() == 0, drive.stuck


def test_mates_that_stay_in_the_list_are_for_a_person(tmp_path: Path) -> None:
    drive = drive_of(tmp_path)
    drive.fleet_of = fleet_that(late_list("d", 9000.0))
    said = stopped_at(drive, "new-cluster:ctm-1")
    assert "in a cluster with 10.0.0.12, 10.0.0.13" in said and "if the list was only late: resume" in said
    assert "No node was erased" in said and "ctmupgrade abort" in said


def test_our_cluster_that_came_late_may_have_a_late_list_too(tmp_path: Path) -> None:
    """It is sent again, and refused because it is there; its list has the old mates for a while yet."""
    drive = drive_of(tmp_path)
    refusal = Fault(
        "error", "ctm-1", "command ksctl cluster new", times=0, params={"text": "NCERRBadRequest: no"}
    )
    drive.world.inject(refusal)
    assert drive.start() == 5, drive.stuck
    drive.world.faults.clear()
    into(drive.world, "ctm-1", "late")
    until = drive.world.now + 60

    def answers(world: World, node: str, argv: tuple[str, ...], told: Reply) -> Reply | None:
        late = node == "ctm-1" and argv[:3] == ("cluster", "nodes", "list") and world.now < until
        return with_mates(told, "d", ("a" * 32, "10.0.0.12")) if late else None

    drive.fleet_of = fleet_that(answers)
    drive.decide("ctm-1", "retry")
    assert drive.resume() == 0, drive.stuck


def of_its_own(code: str, mate: bool = False) -> Answer:
    """The members list ctm-3 by an old id, until it is removed; it says that it is in a cluster of its own."""
    gone: list[bool] = []

    def answers(_world: World, node: str, argv: tuple[str, ...], told: Reply) -> Reply | None:
        if argv[:4] == ("changed", "cluster", "nodes", "delete") and OLD in argv:
            gone.append(True)
            return told
        if argv[:3] != ("cluster", "nodes", "list"):
            return None
        if node == "ctm-3":
            return with_mates(told, "r", ("e" * 32, "10.0.0.99")) if mate and gone else None
        return None if gone else with_mates(told, code, (OLD, "10.0.0.13"))

    return answers


def rejoin(folder: Path, answers: Answer, cluster: str) -> Drive:
    """Three nodes of which ctm-3 is in this cluster, to be joined again."""
    nodes: list[dict[str, Any]] = [
        {"name": f"ctm-{i + 1}", "version": "2.21.0+15451", "cluster": "A", "data": "data-main"}
        for i in range(3)
    ]
    nodes[2].update(cluster=cluster)
    return Drive(make_world(nodes=nodes, keys={"data-main": 100}), folder, fleet_of=fleet_that(answers))


@pytest.mark.parametrize("code", ["d", "k"])
def test_a_node_that_was_a_cluster_of_its_own_before_is_not_a_member_again(code: str, tmp_path: Path) -> None:
    drive = rejoin(tmp_path, of_its_own(code), "B")
    found = recover.look(drive.setup(), OperatorInput(rejoin=("ctm-3",)))
    assert {"remove:ctm-3", "delete-cluster:ctm-3"} <= {step.id for step in found.plan.steps}
    assert drive.start(found.plan) == 0, drive.stuck


def test_a_cluster_of_its_own_that_others_are_in_is_not_deleted(tmp_path: Path) -> None:
    drive = rejoin(tmp_path, of_its_own("d", mate=True), "B")
    found = recover.look(drive.setup(), OperatorInput(rejoin=("ctm-3",)))
    assert drive.start(found.plan) == 5
    assert "it still lists 10.0.0.99" in drive.stuck[0][1].error and not deletions(drive.world)


def test_who_joined_it_after_the_removal_was_begun_is_told_by_its_id(tmp_path: Path) -> None:
    """The id that counts is the one of before the first start of the removal."""
    drive = rejoin(tmp_path, of_its_own("d"), "B")
    found = recover.look(drive.setup(), OperatorInput(rejoin=("ctm-3",)))
    drive.hook = dies_at("remove:ctm-3")
    with pytest.raises(Killed):
        drive.start(found.plan)
    drive.hook = lambda _step, _event, _tick: None
    into(drive.world, "ctm-3", "foreign")
    said = stopped_at(drive, "delete-cluster:ctm-3")
    assert AGAIN in said and not deletions(drive.world)


def test_a_removed_node_that_does_not_answer_for_long_is_waited_for(tmp_path: Path) -> None:
    drive = drive_of(tmp_path)
    away = Fault("refused", "ctm-2", for_s=2400.0, params={"what": "control"})
    drive.hook = after("remove:ctm-2", lambda: drive.world.inject(away))
    assert drive.start() == 0, drive.stuck


def silent_list(listed: bool) -> Answer:
    """A node that others removed: down by its own word, and its list is an error until it is deleted."""

    def answers(world: World, node: str, argv: tuple[str, ...], told: Reply) -> Reply | None:
        if deletions(world):
            return None
        if node == "ctm-3" and argv[:2] == ("cluster", "info"):
            return saying(nodeID=OLD, status={"code": "d", "description": "down"}, nodeCount=1)
        if argv[:3] != ("cluster", "nodes", "list"):
            return None
        if node == "ctm-3":
            return Reply(1, json.dumps({"code": 14, "codeDesc": "NCERRInternalServerError: unexpected"}), "")
        begun = listed and world.of_kind("backup_created")
        return with_mates(told, "d", (OLD, "10.0.0.13")) if begun else None

    return answers


def test_a_removed_node_that_never_tells_its_list_is_judged_by_another_member(tmp_path: Path) -> None:
    drive = rejoin(tmp_path, silent_list(False), "")
    found = recover.look(drive.setup(), OperatorInput())
    steps = [step.id for step in found.plan.steps]
    assert "delete-cluster:ctm-3" in steps and "remove:ctm-3" not in steps
    assert drive.start(found.plan) == 0, drive.stuck


def test_what_another_member_still_lists_is_not_deleted(tmp_path: Path) -> None:
    drive = rejoin(tmp_path, silent_list(True), "")
    found = recover.look(drive.setup(), OperatorInput())
    assert drive.start(found.plan) == 5
    assert "`cluster delete` removes only the last node" in drive.stuck[0][1].error
    assert not deletions(drive.world)


def nothing_before(_self: NewClusterHandler, _ctx: Ctx, _step: Step) -> Generator[Tick, None, Evidence]:
    """As earlier versions journaled it."""
    return {}
    yield


@pytest.mark.parametrize("crash", [False, True])
def test_an_old_journal_knows_that_a_cluster_was_begun(
    crash: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It came late: after a person said to send it again, or while a resume is about to."""
    drive = drive_of(tmp_path)
    with monkeypatch.context() as old:
        old.setattr(NewClusterHandler, "prepare", nothing_before)
        text: dict[str, object] = {"text": "NCERRBadRequest: no"}
        drive.world.inject(Fault("error", "ctm-1", "command ksctl cluster new", times=0, params=text))
        drive.hook = dies_at("new-cluster:ctm-1") if crash else drive.hook
        if crash:
            with pytest.raises(Killed):
                drive.start()
        else:
            assert drive.start() == 5
    drive.world.faults.clear()

    def late(key: str, event: Event | None, _tick: Tick | None) -> None:
        if key == "new-cluster:ctm-1" and isinstance(event, StepNoted) and "not done before" in event.text:
            into(drive.world, "ctm-1", "late")

    drive.hook = late
    if not crash:
        into(drive.world, "ctm-1", "late")
        drive.decide("ctm-1", "retry")
    assert drive.resume() == 0, drive.stuck
    assert not drive.world.of_kind("cluster_new")


def test_no_node_was_erased_is_said_only_where_it_is_true(tmp_path: Path) -> None:
    drive = drive_of(tmp_path)
    plan = drive.plan()
    ctx = Ctx(drive.cluster, plan, "run", drive.setup().tools)
    step = plan.step("new-cluster:ctm-1")
    assert "No node was erased" in new_cluster.remedy_of(ctx, step)
    ctx.baselines["join:ctm-2"] = {"via": "ctm-1"}
    assert "No node was erased" not in new_cluster.remedy_of(ctx, step)


def test_versions_that_differ_are_told_once(tmp_path: Path) -> None:
    drive = drive_of(tmp_path)

    def older() -> None:
        drive.world.nodes["ctm-2"].version = "2.20.0+15016"

    drive.hook = after("restore-settings:ctm-2", older)
    assert drive.start() == 5
    [(step, held)] = drive.stuck
    assert step == "join:ctm-2" and held.error.count("not started") == 1, held.error
