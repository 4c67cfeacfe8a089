"""Interlocks: whatever a plan or a journal says, the proofs themselves are asked for (SECURITY C2, M7, M10)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ctmupgrade.core.model import Options
from ctmupgrade.core.modes import Mode, StrategyName
from ctmupgrade.core.plan.plan import Plan
from ctmupgrade.core.plan.steps import (
    AwaitNode,
    Gate,
    JoinNode,
    MakeBackup,
    ResetNode,
    RunUpgrade,
    Settle,
    Step,
    VerifyArchive,
)
from ctmupgrade.core.run import journal
from ctmupgrade.core.run.interlocks import out_of_service
from tests.support.promises import check_promises
from tests.support.world_run import Drive, make_world

STANDALONE, REBUILD = StrategyName.STANDALONE, StrategyName.REBUILD


def _without(plan: Plan, *kinds: type) -> Plan:
    """Steps are left out; what waited for one waits for what that one waited for."""
    gone = {step.id: step.after for step in plan.steps if isinstance(step.action, kinds)}

    def past(after: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(one for name in after for one in (past(gone[name]) if name in gone else (name,)))

    kept = [step for step in plan.steps if step.id not in gone]
    return replace(plan, steps=tuple(replace(step, after=past(step.after)) for step in kept))


def _at_once(plan: Plan) -> Plan:
    """No step of a node waits for another node's."""
    return replace(
        plan,
        steps=tuple(
            replace(s, after=tuple(a for a in s.after if a.endswith(f":{s.node}"))) for s in plan.steps
        ),
    )


def _alone(plan: Plan) -> Plan:
    return replace(
        plan,
        steps=tuple(
            replace(s, action=replace(s.action, alone=True)) if isinstance(s.action, RunUpgrade) else s
            for s in plan.steps
        ),
    )


def _refused(drive: Drive, plan: Plan, said: str) -> None:
    code = drive.start(plan)
    errors = [held.error for held in drive.state.steps.values() if held.error] + [drive.state.paused]
    assert code == 3, errors
    assert any(said in error for error in errors), errors
    for kind in ("upgrade_started", "reboot", "reset", "node_removed", "join_started", "data_erased"):
        assert drive.world.of_kind(kind) == [], kind


CHANGES: dict[str, tuple[Callable[[Plan], Plan], str]] = {
    "the signature is not verified": (lambda p: _without(p, VerifyArchive), "was not verified in this run"),
    "no backup is made": (lambda p: _without(p, MakeBackup), "are not in backup.directory"),
    "no gate": (lambda p: _without(p, Gate), "no gate has shown"),
    "all say that they are alone": (_alone, "is in a cluster with"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_plan_that_lacks_a_proof_starts_no_upgrade(what: str, tmp_path: Path) -> None:
    change, said = CHANGES[what]
    drive = Drive(make_world(3), tmp_path)
    _refused(drive, change(drive.plan()), said)


@pytest.mark.parametrize("what", ["the signature is not verified", "no backup is made"])
def test_nothing_is_removed_or_erased_without_proofs(what: str, tmp_path: Path) -> None:
    change, said = CHANGES[what]
    drive = Drive(make_world(3), tmp_path, REBUILD, options=Options(survivor="ctm-1"))
    _refused(drive, change(drive.plan()), said)


def test_a_standalone_upgrade_of_a_member_is_refused(tmp_path: Path) -> None:
    """A journal may say another strategy than the cluster is fit for."""
    drive = Drive(make_world(3), tmp_path)
    plan = _without(drive.plan(), Gate)
    drive.cluster = replace(drive.cluster, strategy=STANDALONE)
    _refused(drive, plan, "is in a cluster with")


@pytest.mark.parametrize("change", [_at_once, lambda p: _without(_at_once(p), AwaitNode, Settle)])
def test_one_node_at_a_time_whatever_the_edges_say(change: Callable[[Plan], Plan], tmp_path: Path) -> None:
    drive = Drive(make_world(3), tmp_path)
    plan = change(drive.plan())
    gates = {s.id for s in plan.steps if isinstance(s.action, Gate)}
    proofs = tuple(s.id for s in plan.steps if isinstance(s.action, VerifyArchive | MakeBackup))
    plan = replace(
        plan, steps=tuple(replace(s, after=(*s.after, *proofs)) if s.id in gates else s for s in plan.steps)
    )
    drive.start(plan)
    assert [p for p in check_promises(drive.world, changes_expected=True) if "promise 2" in p] == []


def test_a_node_is_out_of_service_until_it_is_proven_back(tmp_path: Path) -> None:
    drive = Drive(make_world(3), tmp_path)
    plan, now = drive.plan(), drive.world.clock.now()
    begun = journal.RunStarted("r", "test", Mode.SIMULATED, plan, "me", 1, "0")
    state, second = journal.start(begun, now), plan.step("upgrade:ctm-2")
    assert out_of_service(second, state, drive.cluster, ()) == ""
    assert out_of_service(second, state, drive.cluster, {"upgrade:ctm-1"}) == "ctm-1"
    for event, out in (
        (journal.StepStarted("upgrade:ctm-1", {}), "ctm-1"),
        (journal.StepDone("upgrade:ctm-1", {}), "ctm-1"),
        (journal.StepStarted("await:ctm-1", {}), "ctm-1"),
        (journal.StepDone("await:ctm-1", {}), ""),
    ):
        state = journal.apply(state, event, now)
        assert out_of_service(second, state, drive.cluster, ()) == out, event
    assert out_of_service(plan.step("upgrade:ctm-1"), state, drive.cluster, ()) == ""


def test_a_run_without_its_proofs_of_health_is_not_done(tmp_path: Path) -> None:
    """SECURITY C2 a: `await` and `settle` are left out; nothing then proves the version."""
    drive = Drive(make_world(1), tmp_path, STANDALONE)
    assert drive.start(_without(drive.plan(), AwaitNode, Settle)) == 9
    assert drive.state.outcome == "partial"


def _only(plan: Plan, step: Step, **more: object) -> Plan:
    return replace(plan, steps=(step,), **more)  # type: ignore[arg-type]


def test_the_only_appliance_is_not_reset(tmp_path: Path) -> None:
    """SECURITY C2 c: a name that is not in cluster.yaml holds no data."""
    drive = Drive(make_world(1), tmp_path, STANDALONE)
    plan = drive.plan()
    versions = {**plan.versions, "ghost": "2.20.0"}
    reset = Step("reset:ctm-1", "ctm-1", ResetNode(), "", (), 1)
    _refused(drive, _only(plan, reset, versions=versions), "leave the data on no node")


def test_a_node_that_is_not_named_is_not_reset(tmp_path: Path) -> None:
    drive = Drive(make_world(1), tmp_path, STANDALONE)
    _refused(drive, _only(drive.plan(), Step("reset:ctm-1", "", ResetNode(), "", (), 1)), "does not name")


@pytest.mark.parametrize("action", [ResetNode(), ResetNode("ctm-2"), JoinNode("ctm-2")])
def test_the_cluster_itself_says_who_holds_the_data(action: ResetNode | JoinNode, tmp_path: Path) -> None:
    """The plan counts three holders; none of them is a ready member of a cluster."""
    drive = Drive(make_world(3, clustered=False), tmp_path)
    plan = Drive(make_world(3), tmp_path / "other").plan()
    step = Step(f"{action.kind}:ctm-1", "ctm-1", action, "", (), 1)
    _refused(drive, _only(plan, step), "the data would be lost")


def test_a_resume_looks_at_the_proofs_again(tmp_path: Path) -> None:
    """The backups are gone when the run is resumed; the journal says that they were made."""
    drive = Drive(make_world(3), tmp_path)
    stop = [journal.StopAsked("pause", "me@here")]
    drive.requests = lambda: [stop.pop()] if stop and drive.world.of_kind("key_downloaded") else []
    assert drive.start() == 7
    for file in (tmp_path / "backups").iterdir():
        file.unlink()
    drive.requests = list
    assert drive.resume() == 3
    assert drive.world.of_kind("upgrade_started") == []


def test_a_journal_that_was_set_back_upgrades_no_node_twice(tmp_path: Path) -> None:
    """SECURITY M7."""
    drive = Drive(make_world(1), tmp_path, STANDALONE)
    assert drive.start() == 0
    upgrade = next(
        n for n, (text, _) in enumerate(drive.journal.lines) if '"upgrade:ctm-1"' in text and n > 0
    )
    del drive.journal.lines[upgrade:]
    assert drive.resume() == 6
    assert len(drive.world.of_kind("upgrade_started")) == 1
    assert "is at 2.21.0" in drive.stuck[0][1].error


@pytest.mark.parametrize("moment", ["created", "downloaded"])
def test_a_time_ahead_makes_no_backup_fresh(moment: str, tmp_path: Path) -> None:
    """SECURITY M10: `createdAt: 2099-01-01` was fresh for ever."""
    drive = Drive(make_world(1), tmp_path, STANDALONE)
    assert drive.start() == 0
    kept = drive.setup().store.manifests()[0]
    now = drive.world.clock.now()
    day = timedelta(days=1)
    assert kept.downloaded is not None
    assert kept.is_fresh(now - day, now)
    ahead, near = now + timedelta(minutes=11), now + timedelta(minutes=9)
    for at, good in ((ahead, False), (near, True)):
        made = replace(kept, created=at) if moment == "created" else replace(kept, downloaded=at)
        assert made.is_fresh(now - day, now) is good
    old = replace(kept, created=now + timedelta(minutes=5), downloaded=now - 2 * day)
    assert not old.is_fresh(now - day, now), "it is as old as its download, whatever the appliance says"
