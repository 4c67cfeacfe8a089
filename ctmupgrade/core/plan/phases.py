"""The phases of a plan, as far as going back is concerned: from which step on something cannot be undone."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.plan.plan import Plan
from ctmupgrade.core.plan.steps import (
    DeleteClusterConfig,
    NewCluster,
    RemoveNode,
    RunUpgrade,
    Step,
    changes_node,
    erases,
)


class Phase(Enum):
    """How far a cluster is from what it was; each is reached when the first of its steps begins."""

    UNTOUCHED = "nothing that matters was changed"
    REMOVED = "nodes are removed from the cluster; all are on the old version and hold the data"
    COPIES = "the survivor is being upgraded; the removed nodes hold a copy of the old data"
    UPGRADED = "at least one node is being upgraded, or was"
    GONE = "removed nodes are upgraded or erased: the old version and its data go, one node after the other"


def is_rebuild(plan: Plan) -> bool:
    """Return whether the plan removes nodes and forms a new cluster."""
    return plan.strategy is StrategyName.REBUILD and any(
        isinstance(step.action, NewCluster) for step in plan.steps
    )


def survivor(plan: Plan) -> str:
    """Return the node that keeps the data in a rebuild; "" in any other plan."""
    return (
        next((step.node for step in plan.steps if isinstance(step.action, NewCluster)), "")
        if is_rebuild(plan)
        else ""
    )


def phase_of_step(plan: Plan, step: Step) -> Phase:
    """Return which phase begins, at the latest, with a step."""
    if is_rebuild(plan):
        if erases(step.action) or (isinstance(step.action, RunUpgrade) and step.node != survivor(plan)):
            return Phase.GONE
        if isinstance(step.action, RunUpgrade):
            return Phase.COPIES
        return Phase.REMOVED if isinstance(step.action, RemoveNode | DeleteClusterConfig) else Phase.UNTOUCHED
    if erases(step.action):
        return Phase.GONE
    return Phase.UPGRADED if changes_node(step.action) else Phase.UNTOUCHED


_ORDER = (Phase.UNTOUCHED, Phase.REMOVED, Phase.COPIES, Phase.UPGRADED, Phase.GONE)


def phase_now(plan: Plan, begun: Callable[[Step], bool]) -> Phase:
    """Return the phase in which a run is. :param begun: whether a step was begun, also where it failed."""
    reached = {phase_of_step(plan, step) for step in plan.steps if begun(step)}
    return next((phase for phase in reversed(_ORDER) if phase in reached), Phase.UNTOUCHED)


def phases(plan: Plan) -> tuple[Phase, ...]:
    """Return the phases of a plan, in their order."""
    found = {phase_of_step(plan, step) for step in plan.steps}
    return tuple(phase for phase in _ORDER if phase in found or phase is Phase.UNTOUCHED)


def no_return(plan: Plan) -> Step | None:
    """Return the first step after which the old state cannot be had back without a backup; None where there is none."""
    last = (Phase.GONE,) if is_rebuild(plan) else (Phase.UPGRADED, Phase.GONE)
    return next((step for step in plan.steps if phase_of_step(plan, step) in last), None)


def old_copies(plan: Plan, begun: Callable[[Step], bool]) -> tuple[str, ...]:
    """Return the nodes of a rebuild that still are what they were when they were removed: the old version and its data.

    :param begun: whether a step was begun, also where it failed.
    """
    touched = {
        s.node for s in plan.steps if begun(s) and (erases(s.action) or isinstance(s.action, RunUpgrade))
    }
    removed = dict.fromkeys(s.node for s in plan.steps if isinstance(s.action, RemoveNode))
    return tuple(name for name in removed if name not in touched)
