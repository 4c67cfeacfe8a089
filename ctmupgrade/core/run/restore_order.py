"""The order of a restore, whatever its plan says: the key and the file before it, its proof before anything joins.

Joining a node before the restore has ended can keep other nodes from booting again (vendor page "Clusters and Nodes").
What only the nodes can tell is asked of them besides (:mod:`ctmupgrade.actions.restore_interlocks`).
"""

from __future__ import annotations

from collections.abc import Iterator

from ctmupgrade.core.plan.plan import Plan
from ctmupgrade.core.plan.restore_actions import (
    EraseNode,
    ProveRestore,
    ResetSpare,
    RestoreBackup,
    UploadBackup,
    UploadKey,
)
from ctmupgrade.core.plan.steps import JoinNode, NewCluster, ResetNode, Step
from ctmupgrade.core.run.journal import RunState, Status


def restores(plan: Plan) -> Iterator[Step]:
    """Yield the steps that restore a backup."""
    return (step for step in plan.steps if isinstance(step.action, RestoreBackup))


def out_of_order(step: Step, state: RunState) -> str:
    """Return why a step that erases, restores, or changes a membership may not start in a run that restores; "" where it may."""
    found = list(restores(state.plan))
    if len(found) != 1 or not isinstance(found[0].action, RestoreBackup):
        return f"{step.id}: not started: the plan restores no backup, or several"
    restoring, gone = found[0], found[0].action.gone
    if isinstance(step.action, ResetSpare):
        return _no_spare(step, restoring, state)
    if any(isinstance(one.action, ResetSpare) for one in state.plan.steps) and step.node != restoring.node:
        return f"{step.id}: not started: a drill changes nothing but its spare"
    if isinstance(step.action, EraseNode) and step.node not in gone:
        return f"{step.id}: not started: nobody gave {step.node} up by name"
    match step.action:
        case RestoreBackup() | EraseNode(first=True):
            return _unopened(step, restoring, state)
        case NewCluster() if step.node != restoring.node:
            return (
                f"{step.id}: not started: the backup is restored onto {restoring.node}, not onto {step.node}"
            )
        case JoinNode(via=via) if via != restoring.node:
            return f"{step.id}: not started: the backup is restored onto {restoring.node}, not onto {via}"
        case NewCluster() | JoinNode() | ResetNode() | EraseNode():
            return _unproven(step, restoring, state)
        case _:
            return f"{step.id}: not started: it is no step of a restore"


def _no_spare(step: Step, restoring: Step, state: RunState) -> str:
    """What a drill erases is what it has restored onto itself, and nothing else is done in its run."""
    lasting = (NewCluster, JoinNode, ResetNode, EraseNode)
    if step.node != restoring.node or any(isinstance(one.action, lasting) for one in state.plan.steps):
        return f"{step.id}: not started: {step.node} is not the spare of a drill"
    if state.steps[restoring.id].status is Status.PENDING:
        return f"{step.id}: not started: this run has restored nothing onto {step.node}"
    return ""


def _unopened(step: Step, restoring: Step, state: RunState) -> str:
    """The key was opened on this node with its password, and, before the restore, the file is there."""
    kinds = (UploadKey, UploadBackup) if step.id == restoring.id else (UploadKey,)
    if step.node != restoring.node:
        return f"{step.id}: not started: the backup is restored onto {restoring.node}, not onto {step.node}"
    for kind in kinds:
        mine = [s for s in state.plan.steps if s.node == step.node and isinstance(s.action, kind)]
        if not any(state.steps[one.id].status is Status.DONE for one in mine):
            return f"{step.id}: not started: no {'backup key' if kind is UploadKey else 'backup'} was uploaded before"
    return ""


def _unproven(step: Step, restoring: Step, state: RunState) -> str:
    proofs = [s for s in state.plan.steps if s.node == restoring.node and isinstance(s.action, ProveRestore)]
    done = [restoring, *proofs]
    if proofs and all(state.steps[one.id].status is Status.DONE for one in done):
        return ""
    return f"{step.id}: not started: it is not proven that the restore on {restoring.node} has ended"
