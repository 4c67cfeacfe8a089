"""One node at a time, whatever the edges of a plan say: which steps never run beside which."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from ctmupgrade.core.model import Cluster
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.plan.plan import Plan
from ctmupgrade.core.plan.restore_actions import EraseNode, ResetSpare, RestoreBackup
from ctmupgrade.core.plan.steps import (
    AwaitNode,
    DeleteClusterConfig,
    JoinNode,
    NewCluster,
    Reboot,
    RemoveNode,
    ResetNode,
    RestartServices,
    RunUpgrade,
    Step,
)
from ctmupgrade.core.run.journal import RunState, Status

OVER = (Status.DONE, Status.SKIPPED)
MEMBERSHIP = (
    RemoveNode,
    DeleteClusterConfig,
    ResetNode,
    NewCluster,
    JoinNode,
    EraseNode,
    RestoreBackup,
    ResetSpare,
)  # changes who is a member, or erases one


def refusal(step: Step, state: RunState, cluster: Cluster, running: Collection[str]) -> str:
    """Return why a step may not start beside those that have begun; "" where it may.

    :param running: the steps that run in this process.
    """
    if other := out_of_service(step, state, cluster, running):
        return f"{step.id}: not started: it is not proven that {other} is back in service"
    if other := beside(step, state, running):
        return f"{step.id}: not started: {other} is not over, and membership changes one step at a time"
    return ""


def out_of_service(step: Step, state: RunState, cluster: Cluster, running: Collection[str]) -> str:
    """Return the other node that a step took out of service and that nothing has proven to be back; "" where there is
    none, or where this step takes none out.

    At most one node is out of service (promise 2): by ``ks_upgrade.sh``, a reboot or a restart of its services.
    """
    if not takes_out(step, state.plan, cluster):
        return ""
    for other in state.plan.steps:
        if other.node == step.node or not takes_out(other, state.plan, cluster):
            continue
        begun = other.id in running or state.steps[other.id].started is not None
        if begun and state.steps[other.id].status is not Status.SKIPPED and not _is_back(other, state):
            return other.node
    return ""


def beside(step: Step, state: RunState, running: Collection[str]) -> str:
    """Return another step that changes who is a member, or erases one, and that began and is not over; "" where there is
    none, or where this step is not of that kind."""
    if not isinstance(step.action, MEMBERSHIP):
        return ""
    for other in state.plan.steps:
        held = state.steps[other.id]
        if other.id == step.id or not isinstance(other.action, MEMBERSHIP) or held.status in OVER:
            continue
        if other.id in running or held.started is not None:
            return other.id
    return ""


def takes_out(step: Step, plan: Plan, cluster: Cluster) -> bool:
    """Return whether a step takes a node out of service on which the others rely.

    In a rebuild the nodes that were removed upgrade side by side; recover restarts one node after the other.
    """
    in_place = cluster.strategy is StrategyName.IN_PLACE
    match step.action:
        case RunUpgrade(alone=alone):
            return in_place and not alone
        case Reboot():
            return in_place or not any(upgrades(plan, step.node))
        case RestartServices():
            return True
        case _:
            return False


def upgrades(plan: Plan, node: str) -> Iterator[Step]:
    """Yield a node's runs of ``ks_upgrade.sh``."""
    return (step for step in plan.steps if step.node == node and isinstance(step.action, RunUpgrade))


def proofs_after(plan: Plan, step: Step) -> tuple[Step, ...]:
    """Return the steps that prove its node to be back after it, by the plan's edges."""
    awaits = [one for one in plan.steps if one.node == step.node and isinstance(one.action, AwaitNode)]
    before = {one.id: one.after for one in plan.steps} if awaits else {}
    return tuple(one for one in awaits if _waits_for(one.id, step.id, before))


def _waits_for(late: str, early: str, before: Mapping[str, Sequence[str]]) -> bool:
    """Return whether a step starts only when another is over, at once or by the steps between. Nearest first."""
    level, seen = [late], {late}
    while level:
        level = [one for waiting in level for one in before.get(waiting, ()) if one not in seen]
        if early in level:
            return True
        seen.update(level)
    return False


def _is_back(step: Step, state: RunState) -> bool:
    if state.steps[step.id].status not in OVER:
        return False
    if isinstance(step.action, RestartServices):
        return True  # it is done only when all services are started
    return any(state.steps[proof.id].status in OVER for proof in proofs_after(state.plan, step))
