"""The interlocks: what must be proven before a step that changes a node may start, whatever the plan says.

A plan is made by the program, but it is read from a journal when a run is resumed. So no step relies on the steps
before it being in the plan: the proofs themselves are asked for. What only the nodes can tell is asked of them right
before the act (:mod:`ctmupgrade.actions.interlocks`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from ctmupgrade.core.go_on import GoOn
from ctmupgrade.core.looks.backups import Manifest
from ctmupgrade.core.model import Cluster
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.plan.restore_actions import EraseNode, ResetSpare
from ctmupgrade.core.plan.steps import (
    Gate,
    JoinNode,
    Reboot,
    RemoveNode,
    ResetNode,
    RestartServices,
    RunUpgrade,
    Step,
    VerifyArchive,
)
from ctmupgrade.core.run.journal import RunState, Status
from ctmupgrade.core.run.one_at_a_time import MEMBERSHIP, OVER, proofs_after, upgrades
from ctmupgrade.core.run.restore_order import out_of_order, restores

BACKUP_CHECK = "backup_downloaded_with_key"
INTERLOCKED = (RunUpgrade, *MEMBERSHIP)


@dataclass(frozen=True, slots=True)
class Proofs:
    """What this process has seen for itself.

    :ivar verified: the steps that verified the archive's signature in this process.
    :ivar backed_up: nodes with a whole, fresh, downloaded backup and its key.
    """

    verified: Collection[str] = ()
    backed_up: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Hold:
    """Why a step may not start. ``passing``: what is missing is under way in this process."""

    why: str = ""
    remedy: str = ""
    go_on: GoOn = GoOn.RESUME
    passing: bool = False
    wants_backup: bool = False  # the backups on this machine's disk may tell otherwise

    def __bool__(self) -> bool:
        return bool(self.why)


def _foreign(why: str) -> Hold:
    return Hold(why, remedy="the plan is not one of this program's", go_on=GoOn.NEW_RUN)


def hold(step: Step, state: RunState, cluster: Cluster, proofs: Proofs, running: Collection[str]) -> Hold:
    """Return why a step may not start now; nothing where it may.

    :param running: the steps that run in this process.
    """
    if isinstance(step.action, Reboot | RestartServices):
        return _amid_upgrade(step, state) or _without_return(step, state, cluster)
    if not isinstance(step.action, INTERLOCKED):
        return Hold()
    if isinstance(step.action, EraseNode | ResetSpare) or any(restores(state.plan)):
        return _foreign(why) if (why := out_of_order(step, state)) else Hold()
    brings = any(isinstance(s.action, RunUpgrade) and not s.action.alone for s in state.plan.steps)
    if not brings and not isinstance(step.action, RunUpgrade):
        return _without_backup(step, state, proofs)  # a way back: the nodes themselves are asked too
    return (
        _unverified(step, state, cluster, proofs, running)
        or _without_backup(step, state, proofs)
        or _without_gate(step, state, cluster)
        or _without_return(step, state, cluster)
    )


def _amid_upgrade(step: Step, state: RunState) -> Hold:
    """A reboot comes when the node's ``ks_upgrade.sh`` is proven to be over, a restart never while it may run."""
    for upgrade in upgrades(state.plan, step.node):
        held = state.steps[upgrade.id]
        unbegun = isinstance(step.action, RestartServices) and held.status is Status.PENDING
        if held.status is not Status.DONE and not unbegun:
            return _foreign(f"{step.id}: not started: it is not proven that {upgrade.id} is done")
    return Hold()


def _without_return(step: Step, state: RunState, cluster: Cluster) -> Hold:
    """What takes a member out of service is followed by the proof that it is back, which is no older than that."""
    reboots = isinstance(step.action, Reboot)
    way_back = reboots and not any(upgrades(state.plan, step.node))
    if (
        not way_back
        and not (reboots and cluster.strategy is StrategyName.IN_PLACE)
        and not _in_turn(step, cluster)
    ):
        return Hold()
    proofs = proofs_after(state.plan, step)
    if proofs and not any(state.steps[proof.id].status in OVER for proof in proofs):
        return Hold()
    return _foreign(f"{step.id}: not started: no step after it proves that {step.node} is back")


def _unverified(
    step: Step, state: RunState, cluster: Cluster, proofs: Proofs, running: Collection[str]
) -> Hold:
    """The signature: in this process before ``ks_upgrade.sh``, in this run before all else."""
    target = state.plan.target
    for verify in (s for s in state.plan.steps if isinstance(s.action, VerifyArchive)):
        held = state.steps[verify.id]
        told = held.evidence.get("signer") == cluster.target.signer and (
            held.evidence.get("sha256") == target.sha256
        )
        here = verify.id in proofs.verified or not isinstance(step.action, RunUpgrade)
        if held.status is Status.DONE and told and here:
            return Hold()
        if verify.id in running:
            return Hold(f"{step.id}: the archive's signature is being verified", passing=True)
    return _foreign(
        f"{step.id}: not started: the archive's signature by {cluster.target.signer} was not verified in this run"
    )


def _without_backup(step: Step, state: RunState, proofs: Proofs) -> Hold:
    """The backup: of the node itself before its ``ks_upgrade.sh``; before it is removed or erased of the node, or of
    the one whose data stays; of any node before all else."""
    waived = (*state.waived, *state.plan.options.skips)
    if any(check == BACKUP_CHECK for check, _reason in waived):
        return Hold()
    fitting = _whose_backup(step, state)
    if proofs.backed_up if fitting is None else fitting.intersection(proofs.backed_up):
        return Hold()
    what = f"a fresh backup of {' or '.join(sorted(fitting))}" if fitting else "a fresh backup"
    return Hold(
        f"{step.id}: not started: {what} and its key are not in backup.directory",
        remedy="make one: ctmupgrade backup",
        wants_backup=True,
    )


def _whose_backup(step: Step, state: RunState) -> set[str] | None:
    """Return the nodes of which one's backup a step needs; None: any one's."""
    plan = state.plan
    match step.action:
        case RunUpgrade():
            return {step.node}
        case RemoveNode(via=via) | JoinNode(via=via):
            return {step.node, via} - {""}
        case ResetNode(via=via):
            joins = {
                s.action.via for s in plan.steps if s.node == step.node and isinstance(s.action, JoinNode)
            }
            return {step.node, via, *joins} - {""}
        case _:
            return None


def backed_up(
    manifests: Iterable[Manifest], state: RunState, cluster: Cluster, now: datetime
) -> frozenset[str]:
    """Return the nodes with a whole downloaded backup and its key that this run has made, or that was fresh when the
    run began. The time of one that this run has made is not asked for: an appliance's clock may be wrong."""
    made = {held.evidence.get("backup", "") for held in state.steps.values()} - {""}
    since = state.started - cluster.backup.max_age
    names = {node.name for node in cluster.nodes}
    return frozenset(
        m.node
        for m in manifests
        if m.node in names and not m.problem and (m.backup_id in made or m.is_fresh(since, now))
    )


def _without_gate(step: Step, state: RunState, cluster: Cluster) -> Hold:
    """The gate, and one node at a time, where the others go on serving."""
    if not _in_turn(step, cluster):
        return Hold()
    gates = [s for s in state.plan.steps if s.node == step.node and isinstance(s.action, Gate)]
    if not any(state.steps[gate.id].status is Status.DONE for gate in gates):
        return _foreign(f"{step.id}: not started: no gate has shown that every node is ready")
    return Hold()


def _in_turn(step: Step, cluster: Cluster) -> bool:
    in_place = cluster.strategy is StrategyName.IN_PLACE
    return in_place and isinstance(step.action, RunUpgrade) and not step.action.alone
