"""What an operator's decision on a stuck node means: which steps it concerns, and what comes next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from ctmupgrade.core.plan.step_words import step_words
from ctmupgrade.core.plan.steps import JoinNode, NewCluster, Step
from ctmupgrade.core.run import journal
from ctmupgrade.core.run.journal import NodeDecided, RunState, Status
from ctmupgrade.core.run.report import version_after

Decision: TypeAlias = Literal["retry", "skip", "done"]
_OVER = (Status.DONE, Status.SKIPPED)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a decision does to a run.

    :ivar steps: the steps that it concerns; none: it would do nothing.
    :ivar following: the node's next step then; None: there is none.
    """

    node: str
    decision: Decision
    steps: tuple[Step, ...]
    before: RunState
    following: Step | None


def builds_the_cluster(state: RunState, node: str) -> bool:
    """Return whether nodes are to join a cluster that this node has yet to make."""
    makes = [s.id for s in state.plan.steps if isinstance(s.action, NewCluster) and s.node == node]
    joins = any(isinstance(step.action, JoinNode) for step in state.plan.steps)
    return joins and any(state.steps[one].status not in _OVER for one in makes)


def meaning_of(state: RunState, node: str, decision: Decision, *, running: bool, at: datetime) -> Meaning:
    """Return what a decision would do.

    :param running: a process runs the run now: a step that has begun is not stuck then.
    """
    stuck = (Status.FAILED, Status.INCONCLUSIVE) if running else journal.STUCK
    mine = [step for step in state.plan.steps if step.node == node]
    concerned = tuple(
        step
        for step in mine
        if (
            state.steps[step.id].status not in _OVER
            if decision == "skip"
            else state.steps[step.id].status in stuck
        )
    )
    after = journal.apply(state, NodeDecided(node, decision, "", ""), at)
    left = [step for step in mine if after.steps[step.id].status not in _OVER]
    return Meaning(node, decision, concerned, state, left[0] if left else None)


def meaning_lines(meaning: Meaning, *, done: bool = False) -> list[str]:
    """Return the decision in words.

    :param done: it was taken; otherwise it is about to be.
    """
    names = ", ".join(step.id for step in meaning.steps)
    follows = f"Next: {step_words(meaning.following)}" if meaning.following else ""
    if meaning.decision == "skip":
        left = version_after(meaning.before, meaning.node) or "a version that is not known"
        return [
            f"{meaning.node} {'is' if done else 'will be'} left as it is, on {left} as far as is known: nothing more is "
            f"done on it (skipped: {names}), and the run ends as partial (exit 9)."
        ]
    if meaning.decision == "retry":
        return [
            f"{names} {'is' if done else 'will be'} run again.",
            *([f"{follows} again."] if follows else []),
        ]
    last = f"{follows}." if follows else f"Nothing more is left to do on {meaning.node}."
    return [
        f"{names} {'now counts' if done else 'will count'} as done. That is said of this step only.",
        last,
    ]
