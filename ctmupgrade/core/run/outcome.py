"""Tell whether a run that has come to its end has done what its plan was for."""

from __future__ import annotations

from typing import Literal

from ctmupgrade.core.plan.steps import CompareSettings, JoinNode, RecordSettings, RunUpgrade, Step
from ctmupgrade.core.run.journal import RunState, Status, said_only
from ctmupgrade.core.version import Version


def outcome_of(state: RunState) -> Literal["done", "partial"]:
    """Return the outcome of a run whose steps are all done or skipped."""
    return "partial" if left_undone(state) else "done"


def left_undone(state: RunState) -> tuple[str, ...]:
    """Return the nodes of the plan that are not what the plan was for; "" stands for a step of no node.

    A node is what the plan was for when none of its steps that matter was skipped and, where it was to be upgraded,
    a look has proven the target's version; where an operator's word alone says that it has joined, a look that it is a member.
    """
    names = dict.fromkeys(step.node for step in state.plan.steps)
    return tuple(name for name in names if _is_undone(state, name))


def _is_undone(state: RunState, node: str) -> bool:
    steps = [step for step in state.plan.steps if step.node == node]
    if any(state.steps[step.id].status is Status.SKIPPED and _matters(step) for step in steps):
        return True
    joins = [step for step in steps if isinstance(step.action, JoinNode) and said_only(state.steps[step.id])]
    if joins and not any(state.steps[step.id].evidence.get("member") == "ready" for step in steps):
        return True
    return any(isinstance(step.action, RunUpgrade) for step in steps) and not at_target(state, node)


def _matters(step: Step) -> bool:
    """Whether a node lacks something where this step is skipped; to write down how it is changes nothing."""
    return not isinstance(step.action, CompareSettings | RecordSettings)


def last_versions(state: RunState) -> dict[str, str]:
    """Return each node's version: the last that a look of the run has seen, else the plan's; "" where it is not known, for
    nothing has seen the node since its upgrade."""
    return {**state.plan.versions, **state.versions_seen}


def at_target(state: RunState, node: str) -> bool:
    """Return whether a look in this run has proven that a node has the target's version."""
    proven = [
        version
        for step in state.plan.steps
        if step.node == node and (version := state.steps[step.id].evidence.get("version"))
    ]
    return bool(proven) and is_of(proven[-1], Version.parse(state.plan.target.version))


def is_of(text: str, target: Version) -> bool:
    """Return whether it is of that release; what is no version, as in a journal that somebody has changed, is of none."""
    try:
        return Version.parse(text).same_release(target)
    except ValueError:
        return False
