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
    NewCluster,
    Reboot,
    RemoveNode,
    ResetNode,
    RestartServices,
    RunUpgrade,
    Settle,
    Step,
    VerifyArchive,
)
from ctmupgrade.core.run import journal
from ctmupgrade.core.run.interlocks import BACKUP_CHECK, Proofs, hold
from ctmupgrade.core.run.one_at_a_time import beside, out_of_service
from ctmupgrade.sim import upgrade
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
    for kind in (
        "upgrade_started",
        "reboot",
        "reset",
        "node_removed",
        "join_started",
        "data_erased",
        "services_restarted",
    ):
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
    waived = Options(skips=((BACKUP_CHECK, "to be asked for the data"),))
    _refused(drive, _only(plan, step, options=waived), "the data would be lost")


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


def test_a_verification_is_under_way_until_it_is_done(tmp_path: Path) -> None:
    """Steps ask from threads of their own: at no moment of its end is it neither. Found by faults in real time."""
    drive = Drive(make_world(1), tmp_path, STANDALONE)
    told: list[str] = []

    def ask(step: str, event: journal.Event | None, _tick: object) -> None:
        if step == "verify-archive" and event is not None and drive.executor is not None:
            held = drive.executor.ctx.interlock(drive.state.plan.step("upgrade:ctm-1"))
            told.append(f"{held.why} {held.passing}")

    drive.hook = ask
    assert drive.start() == 0
    assert len(told) == 2
    assert "is being verified True" in told[0]
    assert not any("was not verified" in one for one in told), told


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
    kept = drive.setup().tools.store.manifests()[0]
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


# -- reboots and restarts -----------------------------------------------------------------------------------

NODES = ("ctm-1", "ctm-2", "ctm-3")


def _step(kind: str, node: str, action: object, *after: str) -> Step:
    return Step(f"{kind}:{node}", node, action, "", after, 1)  # type: ignore[arg-type]


def _made_of(plan: Plan, *steps: Step) -> Plan:
    """A plan as a journal may say it: only these steps, and no two wait for each other but where they say so."""
    return replace(plan, steps=steps)


def _reboots(names: tuple[str, ...] = NODES, *, proven: bool) -> tuple[Step, ...]:
    steps = [_step("reboot", name, Reboot()) for name in names]
    if proven:
        steps += [_step("await", name, AwaitNode(clustered=False), f"reboot:{name}") for name in names]
    return tuple(steps)


def _restarts(*, by_shell: bool) -> tuple[Step, ...]:
    return tuple(_step("restart-services", name, RestartServices(by_shell)) for name in NODES)


def _state(drive: Drive, plan: Plan, *events: journal.Event) -> journal.RunState:
    now = drive.world.clock.now()
    state = journal.start(journal.RunStarted("r", "test", Mode.SIMULATED, plan, "me", 1, "0"), now)
    for event in events:
        state = journal.apply(state, event, now)
    return state


@pytest.mark.parametrize("strategy", [StrategyName.IN_PLACE, REBUILD, STANDALONE])
def test_reboots_that_nothing_follows_are_refused(strategy: StrategyName, tmp_path: Path) -> None:
    """Three reboots and nothing else: the strategy that the plan or cluster.yaml says is no matter."""
    drive = Drive(make_world(3), tmp_path)
    plan = drive.plan()
    drive.cluster = replace(drive.cluster, strategy=strategy)
    _refused(drive, _made_of(plan, *_reboots(proven=False)), "no step after it proves that ctm-1 is back")


@pytest.mark.parametrize("strategy", [StrategyName.IN_PLACE, REBUILD, STANDALONE])
def test_reboots_are_one_at_a_time_without_an_upgrade(strategy: StrategyName, tmp_path: Path) -> None:
    drive = Drive(make_world(3), tmp_path)
    plan = drive.plan()
    drive.cluster = replace(drive.cluster, strategy=strategy)
    drive.start(_made_of(plan, *_reboots(proven=True)))
    _never_two_away(drive)


def _never_two_away(drive: Drive) -> None:
    away: set[str] = set()
    for event in drive.world.events:
        if event.kind in ("reboot", "services_restarted"):
            away.add(event.node)
        elif event.kind == "ready":
            away.discard(event.node)
        assert len(away) <= 1, away


@pytest.mark.parametrize("names", [("ctm-1",), NODES])
def test_no_node_is_rebooted_amid_its_upgrade(names: tuple[str, ...], tmp_path: Path) -> None:
    """Its edges are cut: the process list was looked at before the script of the same instant was there."""
    drive = Drive(make_world(3), tmp_path)
    plan = drive.plan()
    cut = [
        replace(s, after=()) if isinstance(s.action, Reboot) and s.node in names else s for s in plan.steps
    ]
    _refused(drive, replace(plan, steps=tuple(cut)), "it is not proven that upgrade:ctm-1 is done")


@pytest.mark.parametrize("strategy", [StrategyName.IN_PLACE, REBUILD, STANDALONE])
@pytest.mark.parametrize("action", [Reboot(), RestartServices(), RestartServices(by_shell=True)])
def test_only_an_upgrade_that_is_done_lets_its_node_go_down(
    action: Reboot | RestartServices, strategy: StrategyName, tmp_path: Path
) -> None:
    drive = Drive(make_world(1), tmp_path, STANDALONE)
    drive.cluster = replace(drive.cluster, strategy=strategy)
    plan = drive.plan() if strategy is STANDALONE else Drive(make_world(1), tmp_path, STANDALONE).plan()
    down = _step("down", "ctm-1", action)
    plan = _made_of(
        plan, _step("upgrade", "ctm-1", RunUpgrade()), down, _step("await", "ctm-1", AwaitNode(), down.id)
    )
    events: list[journal.Event] = []
    for event, held in (
        (journal.StepNoted("upgrade:ctm-1", ""), isinstance(action, Reboot)),
        (journal.StepStarted("upgrade:ctm-1", {}), True),
        (journal.StepFailed("upgrade:ctm-1", "no verdict", "", 6, True), True),
        (journal.StepFailed("upgrade:ctm-1", "failed", "", 5, False), True),
        (journal.StepDone("upgrade:ctm-1", {}), False),
    ):
        events.append(event)
        found = hold(down, _state(drive, plan, *events), drive.cluster, Proofs(), ())
        assert bool(found) is held, event


@pytest.mark.parametrize("kind", ["upgrade", "reboot"])
def test_a_proof_that_is_older_than_what_it_proves_is_none(kind: str, tmp_path: Path) -> None:
    """A journal may say that the node was proven to be back before it went away."""
    drive = Drive(make_world(3), tmp_path)
    plan = drive.plan()
    done = [journal.StepDone(s.id, {}) for s in plan.steps if s.id in ("gate:ctm-1", "upgrade:ctm-1")]
    proofs = Proofs(backed_up=("ctm-1",))
    verified = journal.StepDone(
        "verify-archive", {"signer": drive.cluster.target.signer, "sha256": plan.target.sha256}
    )
    state = _state(drive, plan, verified, *done)
    step = plan.step(f"{kind}:ctm-1")
    proofs = replace(proofs, verified=("verify-archive",))
    assert not hold(step, state, drive.cluster, proofs, ())
    state = _state(drive, plan, verified, *done, journal.StepDone("await:ctm-1", {}))
    assert "no step after it proves" in hold(step, state, drive.cluster, proofs, ()).why


@pytest.mark.parametrize("other", ["upgrade:ctm-1", "reboot:ctm-1", "restart-services:ctm-1"])
def test_nothing_goes_down_while_another_node_is_out(other: str, tmp_path: Path) -> None:
    drive = Drive(make_world(3), tmp_path)
    plan = drive.plan()
    restarts = [_step("restart-services", name, RestartServices()) for name in NODES]
    plan = replace(plan, steps=(*plan.steps, *restarts))
    begun = _state(drive, plan, journal.StepStarted(other, {}))
    done = _state(drive, plan, journal.StepStarted(other, {}), journal.StepDone(other, {}))
    back = journal.apply(done, journal.StepDone("await:ctm-1", {}), drive.world.clock.now())
    for kind in ("upgrade", "reboot", "restart-services"):
        step = plan.step(f"{kind}:ctm-2")
        assert out_of_service(step, begun, drive.cluster, ()) == "ctm-1"
        assert out_of_service(step, _state(drive, plan), drive.cluster, {other}) == "ctm-1"
        by_itself = "" if other.startswith("restart") else "ctm-1"
        assert out_of_service(step, done, drive.cluster, ()) == by_itself
        assert out_of_service(step, back, drive.cluster, ()) == ""


@pytest.mark.parametrize("by_shell", [False, True])
def test_services_that_are_started_are_not_restarted(by_shell: bool, tmp_path: Path) -> None:
    drive = Drive(make_world(3), tmp_path)
    assert drive.start(_made_of(drive.plan(), *_restarts(by_shell=by_shell))) == 0
    assert drive.world.of_kind("services_restarted") == []


@pytest.mark.parametrize("strategy", [StrategyName.IN_PLACE, REBUILD])
def test_services_are_restarted_one_node_at_a_time(strategy: StrategyName, tmp_path: Path) -> None:
    drive = Drive(make_world(3), tmp_path)
    plan = drive.plan()
    drive.cluster = replace(drive.cluster, strategy=strategy)
    for node in drive.world.nodes.values():
        node.silent_from, node.ready_at = (
            drive.world.now,
            drive.world.now + 1e6,
        )  # they never come up by themselves
    assert drive.start(_made_of(plan, *_restarts(by_shell=True))) == 0
    assert len(drive.world.of_kind("services_restarted")) == 3
    _never_two_away(drive)


def test_no_services_are_restarted_under_a_script(tmp_path: Path) -> None:
    """Whoever started it: the node is asked."""
    drive = Drive(make_world(3), tmp_path)
    plan = drive.plan()
    node = drive.world.nodes["ctm-1"]
    upgrade.start(drive.world, node, drive.world.archive.name, drive.world.now, by="another operator")
    node.unit = "inactive"
    assert (
        drive.start(_made_of(plan, _step("restart-services", "ctm-1", RestartServices(by_shell=True)))) == 5
    )
    assert drive.world.of_kind("services_restarted") == []


# -- removals -----------------------------------------------------------------------------------------------


def _removals(drive: Drive) -> tuple[Step, ...]:
    ids = {node.name: node.node_id for node in drive.world.nodes.values()}
    return tuple(_step("remove", name, RemoveNode("ctm-1", ids[name])) for name in NODES[1:])


def test_nothing_is_removed_without_a_backup_whatever_the_plan_is_made_of(tmp_path: Path) -> None:
    drive = Drive(make_world(3), tmp_path)
    _refused(drive, _made_of(drive.plan(), *_removals(drive)), "a fresh backup of ctm-1 or ctm-2 and its key")


@pytest.mark.parametrize(
    ("action", "whose"),
    [
        (RemoveNode("ctm-1", "x"), "ctm-1 ctm-2"),
        (RemoveNode("ctm-1", "x", force=True), "ctm-1 ctm-2"),
        (ResetNode("ctm-1"), "ctm-1 ctm-2"),
        (ResetNode(), "ctm-2"),
        (JoinNode("ctm-1"), "ctm-1 ctm-2"),
        (NewCluster(), "ctm-1 ctm-2 ctm-3"),
    ],
)
@pytest.mark.parametrize("upgrades", [False, True])
def test_the_backup_is_of_the_node_or_of_what_stays(
    action: RemoveNode | ResetNode | JoinNode | NewCluster, whose: str, upgrades: bool, tmp_path: Path
) -> None:
    drive = Drive(make_world(3), tmp_path)
    plan, step = drive.plan(), _step(action.kind, "ctm-2", action)
    told = {"signer": drive.cluster.target.signer, "sha256": plan.target.sha256}
    plan = (
        replace(plan, steps=(*plan.steps, step))
        if upgrades
        else _made_of(plan, plan.step("verify-archive"), step)
    )
    state = _state(drive, plan, journal.StepDone("verify-archive", told))
    for name in ("", *NODES):
        held = hold(step, state, drive.cluster, Proofs(("verify-archive",), {name} - {""}), ())
        assert held.wants_backup is (name not in whose.split()), name
    waived = replace(state, waived=((BACKUP_CHECK, "as asked"),))
    assert not hold(step, waived, drive.cluster, Proofs(("verify-archive",)), ())


def test_never_two_changes_of_membership_at_once(tmp_path: Path) -> None:
    drive = Drive(make_world(3), tmp_path)
    open_ones: set[str] = set()

    def watch(step: str, event: journal.Event | None, _tick: object) -> None:
        if step.startswith("remove:") and isinstance(event, journal.StepStarted):
            open_ones.add(step)
            assert len(open_ones) == 1, open_ones
        elif isinstance(event, journal.StepDone):
            open_ones.discard(step)

    drive.hook = watch
    waived = Options(skips=((BACKUP_CHECK, "to be removed"),))
    plan = replace(_made_of(drive.plan(), *_removals(drive)), options=waived)
    drive.start(plan)
    assert drive.world.of_kind("node_removed") != []


@pytest.mark.parametrize(
    "action", [RemoveNode("ctm-1", "x"), ResetNode("ctm-1"), JoinNode("ctm-1"), NewCluster()]
)
def test_membership_waits_for_a_change_that_is_not_over(
    action: RemoveNode | ResetNode | JoinNode | NewCluster, tmp_path: Path
) -> None:
    drive = Drive(make_world(3), tmp_path)
    one, two = _step("remove", "ctm-3", RemoveNode("ctm-1", "y")), _step(action.kind, "ctm-2", action)
    plan = _made_of(drive.plan(), one, two)
    assert beside(two, _state(drive, plan), ()) == ""
    assert beside(two, _state(drive, plan), {one.id}) == one.id
    begun = _state(drive, plan, journal.StepStarted(one.id, {}))
    assert beside(two, begun, ()) == one.id
    assert beside(one, begun, ()) == ""
    failed = journal.apply(begun, journal.StepFailed(one.id, "?", "", 6, True), drive.world.clock.now())
    assert beside(two, failed, ()) == one.id
    assert beside(two, journal.apply(begun, journal.StepDone(one.id, {}), drive.world.clock.now()), ()) == ""
