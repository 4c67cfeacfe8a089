"""The interlocks: what must be proven before a step that changes a node may start, whatever the plan says.

A plan is made by the program, but it is read from a journal when a run is resumed. So no step relies on the steps
before it being in the plan: the proofs themselves are asked for. What only the nodes can tell is asked of them right
before the act (:mod:`ctmupgrade.actions.interlocks`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from ctmupgrade.core.looks.backups import Manifest
from ctmupgrade.core.model import Cluster
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.plan.steps import (
    AwaitNode,
    DeleteClusterConfig,
    Gate,
    JoinNode,
    NewCluster,
    RemoveNode,
    ResetNode,
    RunUpgrade,
    Step,
    VerifyArchive,
)
from ctmupgrade.core.run.journal import RunState, Status

BACKUP_CHECK = "backup_downloaded_with_key"
INTERLOCKED = (RunUpgrade, RemoveNode, DeleteClusterConfig, ResetNode, NewCluster, JoinNode)
_OVER = (Status.DONE, Status.SKIPPED)


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
    passing: bool = False
    wants_backup: bool = False  # the backups on this machine's disk may tell otherwise

    def __bool__(self) -> bool:
        return bool(self.why)


def hold(step: Step, state: RunState, cluster: Cluster, proofs: Proofs, running: Collection[str]) -> Hold:
    """Return why a step may not start now; nothing where it may.

    :param running: the steps that run in this process.
    """
    if not isinstance(step.action, INTERLOCKED):
        return Hold()
    brings = any(isinstance(s.action, RunUpgrade) and not s.action.alone for s in state.plan.steps)
    if not brings and not isinstance(step.action, RunUpgrade):
        return Hold()  # a way back, whose backup comes first by its plan: the nodes themselves are asked
    return (
        _unverified(step, state, cluster, proofs, running)
        or _without_backup(step, state, proofs)
        or _without_gate(step, state, cluster)
    )


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
    return Hold(
        f"{step.id}: not started: the archive's signature by {cluster.target.signer} was not verified in this run",
        remedy="the plan is not one of this program's: ctmupgrade abort, then ctmupgrade run",
    )


def _without_backup(step: Step, state: RunState, proofs: Proofs) -> Hold:
    """The backup: of the node itself before its ``ks_upgrade.sh``, of any node before all else."""
    waived = (*state.waived, *state.plan.options.skips)
    if any(check == BACKUP_CHECK for check, _reason in waived):
        return Hold()
    own = isinstance(step.action, RunUpgrade)
    if step.node in proofs.backed_up or (proofs.backed_up and not own):
        return Hold()
    what = f"a fresh backup of {step.node} and its key" if own else "a fresh backup and its key"
    return Hold(
        f"{step.id}: not started: {what} are not in backup.directory",
        remedy="ctmupgrade backup; then: ctmupgrade resume",
        wants_backup=True,
    )


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
        return Hold(
            f"{step.id}: not started: no gate has shown that every node is ready",
            remedy="the plan is not one of this program's: ctmupgrade abort, then ctmupgrade run",
        )
    return Hold()


def out_of_service(step: Step, state: RunState, cluster: Cluster, running: Collection[str]) -> str:
    """Return the other node whose upgrade began and that nothing has proven to be back; "" where there is none.

    Asked for ``ks_upgrade.sh`` in place: at most one node is out of service (promise 2).
    """
    if not _in_turn(step, cluster):
        return ""
    for other in state.plan.steps:
        if other.node == step.node or not _in_turn(other, cluster):
            continue
        begun = other.id in running or state.steps[other.id].started is not None
        if begun and state.steps[other.id].status is not Status.SKIPPED and not _is_back(other.node, state):
            return other.node
    return ""


def _in_turn(step: Step, cluster: Cluster) -> bool:
    in_place = cluster.strategy is StrategyName.IN_PLACE
    return in_place and isinstance(step.action, RunUpgrade) and not step.action.alone


def _is_back(node: str, state: RunState) -> bool:
    proofs = [s for s in state.plan.steps if s.node == node and isinstance(s.action, AwaitNode)]
    return bool(proofs) and all(state.steps[proof.id].status in _OVER for proof in proofs)
