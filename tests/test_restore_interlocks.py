"""Interlocks of a restore: whatever its plan or journal says, nodes with data stay whole and nothing joins too early."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ctmupgrade.core.modes import Mode
from ctmupgrade.core.plan.plan import Plan
from ctmupgrade.core.plan.restore_actions import (
    EraseNode,
    ProveRestore,
    RestoreBackup,
    UploadBackup,
    UploadKey,
)
from ctmupgrade.core.plan.steps import JoinNode, NewCluster, ResetNode, Step, erases
from ctmupgrade.core.run import journal
from ctmupgrade.core.run.data_guard import guard_for
from ctmupgrade.core.run.interlocks import Proofs, hold
from ctmupgrade.core.run.kinds import RunKind
from ctmupgrade.core.run.same_plan import foreign_steps
from ctmupgrade.sim import Fault, World
from tests.support.lost_cluster import RestoreDrive, again, whole
from tests.support.promises import check_promises

HARM = ("data_erased", "reset", "restore_started", "cluster_new", "join_started")


def _without(plan: Plan, *kinds: type) -> Plan:
    gone = {step.id: step.after for step in plan.steps if isinstance(step.action, kinds)}

    def past(after: tuple[str, ...]) -> Iterator[str]:
        for name in after:
            yield from past(gone[name]) if name in gone else (name,)

    kept = [step for step in plan.steps if step.id not in gone]
    return replace(plan, steps=tuple(replace(step, after=tuple(past(step.after))) for step in kept))


def _at_once(plan: Plan) -> Plan:
    """What joins waits for nothing of the restored node."""
    loose = NewCluster | ResetNode | JoinNode | EraseNode
    return replace(
        plan, steps=tuple(replace(s, after=()) if isinstance(s.action, loose) else s for s in plan.steps)
    )


def _changed(plan: Plan, change: Callable[[Step], Step]) -> Plan:
    return replace(plan, steps=tuple(change(step) for step in plan.steps))


def _elsewhere(step: Step) -> Step:
    """Another node makes the cluster, and all join that one."""
    after = tuple("new-cluster:ctm-2" if a == "new-cluster:ctm-1" else a for a in step.after)
    match step.action:
        case NewCluster():
            return replace(step, id="new-cluster:ctm-2", node="ctm-2", after=after)
        case JoinNode():
            return replace(step, action=JoinNode("ctm-2"), after=after)
        case _:
            return replace(step, after=after)


def _refused(drive: RestoreDrive, plan: Plan, said: str, *harm: str) -> None:
    code = drive.start(plan)
    errors = [held.error for held in drive.state.steps.values() if held.error] + [drive.state.paused]
    assert code == 3, (code, errors)
    assert any(said in error for error in errors), errors
    for kind in harm:
        assert not drive.world.of_kind(kind), kind
    assert not check_promises(drive.world, changes_expected=True, in_place=False)


PLANS: dict[str, tuple[Callable[[Plan], Plan], str, tuple[str, ...]]] = {
    "no proof": (lambda p: _without(p, ProveRestore), "no cluster can be built from it",
                 ("reset", "cluster_new", "join_started")),
    "all at once": (_at_once, "", HARM[:2] + HARM[3:]),
    "no key": (lambda p: _without(p, UploadKey), "no backup key was uploaded before", HARM),
    "no file": (lambda p: _without(p, UploadBackup), "no backup was uploaded before", HARM),
    "no restore": (lambda p: _without(p, RestoreBackup, ProveRestore), "", HARM),
    "another node": (lambda p: _changed(p, _elsewhere), "no cluster can be built from it", ("reset", "join_started")),
}  # fmt: skip


@pytest.mark.parametrize("what", PLANS)
def test_a_plan_that_lacks_a_proof_joins_nothing(what: str, tmp_path: Path) -> None:
    change, said, harm = PLANS[what]
    drive = again(tmp_path)
    plan = change(drive.plan())
    if what == "all at once":
        drive.start(plan)
        assert not drive.world.of_kind("restore_disturbed")
        assert not check_promises(drive.world, changes_expected=True, in_place=False)
        return
    _refused(drive, plan, said, *harm)


@pytest.mark.parametrize(
    ("step", "change", "said"),
    [
        (
            "new-cluster:ctm-1",
            lambda p: _without(p, ProveRestore),
            "not proven that the restore on ctm-1 has ended",
        ),
        ("join:ctm-2", lambda p: p, "not proven that the restore on ctm-1 has ended"),
        ("reset:ctm-3", lambda p: p, "not proven that the restore on ctm-1 has ended"),
        ("new-cluster:ctm-2", lambda p: _changed(p, _elsewhere), "restored onto ctm-1, not onto ctm-2"),
        ("join:ctm-3", lambda p: _changed(p, _elsewhere), "restored onto ctm-1, not onto ctm-2"),
        ("restore:ctm-1", lambda p: p, "no backup key was uploaded before"),
    ],
)
def test_the_order_is_asked_of_the_journal(
    step: str, change: Callable[[Plan], Plan], said: str, tmp_path: Path
) -> None:
    """Each by itself, whoever else would have refused it before."""
    drive = again(tmp_path)
    plan = change(drive.plan())
    started = journal.RunStarted("r", "test", Mode.SIMULATED, plan, "me", 1, "test")
    state = journal.start(started, drive.world.clock.now())
    assert said in hold(plan.step(step), state, drive.cluster, Proofs(), ()).why


def test_a_plan_that_erases_who_was_not_given_up_erases_nobody(tmp_path: Path) -> None:
    drive = again(tmp_path)

    def erased(step: Step) -> Step:
        return replace(step, action=EraseNode()) if isinstance(step.action, ResetNode) else step

    _refused(drive, _changed(drive.plan(), erased), "nobody gave ctm-2 up by name", "reset", "join_started")


def _rejoined(world: World) -> None:
    """Somebody has found the old ctm-2: it is there again, with the cluster's data."""
    world.nodes["ctm-2"].data = "data-main"
    world.touch()


def _clustered(world: World) -> None:
    node = world.nodes["ctm-1"]
    node.cluster, node.node_id = "other", "id-of-ctm-1"
    world.touch()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_rejoined, "ctm-2 was not given up by name, and it is in no cluster, and has 1200 keys"),
        (_clustered, "ctm-1 is a member of a cluster"),
    ],
    ids=["data", "a member"],
)
def test_the_nodes_are_asked_again_right_before_the_restore(
    change: Callable[[World], None], said: str, tmp_path: Path
) -> None:
    """What the plan saw has aged: a person may have read it for an hour."""
    drive = again(tmp_path)
    plan = drive.plan()
    change(drive.world)
    _refused(drive, plan, said, *HARM)


def test_a_node_that_gets_data_before_its_reset_is_not_erased(tmp_path: Path) -> None:
    drive = again(tmp_path)

    def found(step: str, event: object, _tick: object) -> None:
        if step == "new-cluster:ctm-1" and isinstance(event, journal.StepDone):
            _rejoined(drive.world)

    drive.hook = found
    _refused(drive, drive.plan(), "ctm-2 was not given up by name", "reset", "join_started")


def test_a_restore_is_not_repeated_over_a_cluster_that_came_of_it(tmp_path: Path) -> None:
    """The journal is set back to before the restore, after ctm-2 has joined: its data, too, would be lost."""
    drive = again(tmp_path)
    assert drive.start() == 0
    lines = [line for line in drive.journal.lines if "restore:ctm-1" not in line[0] or '"plan"' in line[0]]
    cut = next(
        i
        for i, (text, _) in enumerate(lines)
        if "upload-backup:ctm-1" in text and "step-done" in text.replace("_", "-")
    )
    drive.journal.lines = lines[: cut + 1]
    before = len(drive.world.of_kind("restore_started"))
    assert drive.resume() == 3, drive.stuck
    assert len(drive.world.of_kind("restore_started")) == before and whole(drive.world) == []


def test_nothing_joins_a_node_that_is_being_restored_in_any_run(tmp_path: Path) -> None:
    """The vendor's caution is for every join: a rebuild's too."""
    from ctmupgrade.core.model import Options
    from ctmupgrade.core.modes import StrategyName
    from tests.support.world_run import Drive, make_world

    drive = Drive(make_world(2, clustered=True), tmp_path, StrategyName.REBUILD, Options(survivor="ctm-1"))
    busy = {"operation": "restore", "status": "in progress", "finished": False}

    def restoring(step: str, event: object, _tick: object) -> None:
        if step == "new-cluster:ctm-1" and isinstance(event, journal.StepDone):
            drive.world.nodes["ctm-1"].says = {"ksctl backup status": busy}
            drive.world.inject(Fault("services", "ctm-3", for_s=1.0))

    drive.hook = restoring
    assert drive.start() in (4, 5)
    assert not drive.world.of_kind("join_started")
    assert any("has not ended" in held.error for _, held in drive.stuck)
    drive.world.nodes["ctm-1"].says = {}
    assert drive.resume() == 0


def test_a_restore_that_is_resumed_has_the_plan_that_would_be_made(tmp_path: Path) -> None:
    drive = again(tmp_path)
    plan = drive.plan()
    drive.start(plan)
    state = replace(drive.state, what=RunKind.RESTORE.value)
    assert foreign_steps(state, drive.cluster) == ()
    forged = replace(plan, steps=tuple(s for s in plan.steps if not isinstance(s.action, ProveRestore)))
    assert foreign_steps(replace(state, plan=forged), drive.cluster)
    assert {s.id for s in plan.steps if erases(s.action)} >= {"restore:ctm-1", "reset:ctm-2", "join:ctm-3"}


def test_the_guard_gives_nobody_up_who_came_of_the_restore(tmp_path: Path) -> None:
    """By the journal alone, whatever the nodes would answer."""
    drive = again(tmp_path)
    plan = drive.plan()
    guard = guard_for(drive.cluster, plan)
    begun = journal.start(
        journal.RunStarted("r", "test", Mode.SIMULATED, plan, "me", 1, "t"), drive.world.clock.now()
    )
    assert guard(plan.step("restore:ctm-1"), begun) == ""
    assert "leave the data on no node only" in guard(plan.step("reset:ctm-2"), begun)
    assert "it is not proven that ctm-1 holds the data" in guard(plan.step("join:ctm-2"), begun)
    assert drive.start(plan) == 0
    assert "has the cluster's data, so it is not lost" in guard(plan.step("restore:ctm-1"), drive.state)
