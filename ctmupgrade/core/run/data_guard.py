"""The last word before a step: whatever the plan says, the last copy of the data is never given up.

A node holds the cluster's data until its own reset or join begins, and again when its join is done. The
survivor counts only while nothing hurts it: from the start of its upgrade to the proof that it is well it is
not relied on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from ctmupgrade.core.model import Cluster
from ctmupgrade.core.plan.plan import Plan
from ctmupgrade.core.plan.restore_actions import EraseNode, ResetSpare, RestoreBackup
from ctmupgrade.core.plan.steps import JoinNode, NewCluster, ResetNode, Step, step_id
from ctmupgrade.core.run.journal import RunState, Status, said_only


def holders(plan: Plan, state: RunState, names: Collection[str] | None = None) -> set[str]:
    """Return the nodes that surely hold the cluster's data now.

    :param names: the nodes of cluster.yaml: what only the plan names holds nothing. None: they are the plan's.
    """
    known = plan.versions if names is None else names
    return {name for name in plan.versions if name in known and _holds(plan, state, name)}


def _holds(plan: Plan, state: RunState, name: str) -> bool:
    by_id = {step.id: state.steps[step.id].status for step in plan.steps}
    over = (Status.DONE, Status.SKIPPED)
    join = by_id.get(step_id("join", name))
    if join is Status.DONE:
        return not said_only(state.steps[step_id("join", name)])
    if any(s.node == name and isinstance(s.action, RestoreBackup) for s in plan.steps):
        return by_id.get(step_id("prove-restore", name)) is Status.DONE
    if name in plan.without_data:
        return False
    ids = (step_id("reset", name), step_id("join", name), step_id("erase", name))
    erased = [by_id.get(one, Status.PENDING) for one in ids]
    if any(status is not Status.PENDING and status is not Status.SKIPPED for status in erased):
        return False
    upgrade = by_id.get(step_id("upgrade", name), Status.PENDING)
    return upgrade is Status.PENDING or by_id.get(step_id("await", name), Status.PENDING) in over


def _of_a_lost_cluster(step: Step, plan: Plan, state: RunState, names: Collection[str]) -> str:
    """Why nothing may be restored, or erased for it: some node holds the cluster's data."""
    if step.node not in names:
        return f"{step.id} would erase {step.node or 'a node'}, which cluster.yaml does not name"
    held = ", ".join(sorted(holders(plan, state, names)))
    return f"{step.id}: not started: {held} has the cluster's data, so it is not lost" if held else ""


def guard_for(cluster: Cluster, plan: Plan) -> Callable[[Step, RunState], str]:
    """Return a judge of steps: "" where one may start, else why not. Only what erases a node is judged."""
    keep = max(1, plan.options.keep_copies)
    names = {node.name for node in (*cluster.nodes, *cluster.fresh)}

    def guard(step: Step, state: RunState) -> str:
        match step.action:
            case ResetNode() | JoinNode() | EraseNode() | ResetSpare() if step.node == cluster.own_node != "":
                return (
                    f"{step.id} would erase {step.node}, on which ctmupgrade runs: run it on another machine"
                )
            case RestoreBackup() | EraseNode(first=True):
                return _of_a_lost_cluster(step, plan, state, names)
            case ResetNode(via=via) | JoinNode(via=via):
                left = holders(plan, state, names) - {step.node}
            case EraseNode():
                via, left = "", holders(plan, state, names) - {step.node}
            case NewCluster() if step.node in plan.without_data and not _holds(plan, state, step.node):
                return f"{step.id}: not started: the data of {step.node} was erased before, so no cluster can be built from it"
            case _:
                return ""
        if step.node not in names:
            return f"{step.id} would erase {step.node or 'a node'}, which cluster.yaml does not name"
        if via and via not in left:
            return f"{step.id} would erase {step.node}, and it is not proven that {via} holds the data"
        if len(left) >= keep:
            return ""
        others = ", ".join(sorted(left)) or "no node"
        return (
            f"{step.id} would erase {step.node} and leave the data on {others} only; at least {keep} "
            f"{'copy' if keep == 1 else 'copies'} must stay"
        )

    return guard
