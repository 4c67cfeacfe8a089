"""What an operator's decision on a stuck node means: which steps it concerns, and what comes next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from ctmupgrade.core.go_on import GoOn
from ctmupgrade.core.plan.step_words import step_words
from ctmupgrade.core.plan.steps import Gate, JoinNode, NewCluster, Step
from ctmupgrade.core.run import journal
from ctmupgrade.core.run.journal import NodeDecided, RunState, Status
from ctmupgrade.core.run.outcome import left_undone
from ctmupgrade.core.run.pending_reboots import pending_reboots
from ctmupgrade.core.run.seen_versions import is_seen, version_words

Decision: TypeAlias = Literal["retry", "skip", "done"]
_OVER = (Status.DONE, Status.SKIPPED)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a decision does to a run.

    :ivar steps: the steps that it concerns; none: it would do nothing.
    :ivar after: the run's state then. :ivar following: the node's next step then; None: there is none.
    """

    node: str
    decision: Decision
    steps: tuple[Step, ...]
    before: RunState
    after: RunState
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
    return Meaning(node, decision, concerned, state, after, left[0] if left else None)


def meaning_lines(meaning: Meaning, *, done: bool = False) -> list[str]:
    """Return the decision in words.

    :param done: it was taken; otherwise it is about to be.
    """
    names = ", ".join(step.id for step in meaning.steps)
    follows = f"Next: {step_words(meaning.following)}" if meaning.following else ""
    if meaning.decision == "skip":
        return [*_skip_lines(meaning, names, done=done)]
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


def _skip_lines(meaning: Meaning, names: str, *, done: bool) -> Iterator[str]:
    """What is done no more, what the run waits for all the same, the ways out, and how it ends."""
    node, after = meaning.node, meaning.after
    on = version_words(meaning.before, node)
    on = f"{on}, as far as is known" if is_seen(meaning.before, node) else on
    yield f"{node} {'is' if done else 'will be'} left as it is, on {on}: nothing more is done on it (skipped: {names})."
    yield from (f"{line}." for line in pending_reboots(after, aborted=False) if line.startswith(f"{node}: "))
    gate = _next_gate(after)
    if gate is not None:
        yield (
            f"Before {gate.node} is changed, every node must be healthy, {node} too ({gate.id}): until then the run changes no "
            f"other node. Make {node} healthy, then resume."
        )
    if node in left_undone(after):
        yield "When all other steps are done, the run ends as partial (exit 9)."
    if gate is not None:
        yield f"If {node} cannot come back: ctmupgrade abort {after.run}; then: ctmupgrade recover"


def way_on(state: RunState, step: str, usual: GoOn) -> GoOn:
    """Return how a run goes on that a step has stopped: where a node is skipped that the gate waits for, it may be that nobody can
    make it healthy, and this run can then not go on."""
    gate = isinstance(state.plan.step(step).action, Gate)
    skipped = any(held.status is Status.SKIPPED for held in state.steps.values())
    return GoOn.RESUME_OR_RECOVER if usual is GoOn.RESUME and gate and skipped else usual


def _next_gate(state: RunState) -> Step | None:
    """The next step that waits until every node is healthy."""
    gates = (step for step in state.plan.steps if isinstance(step.action, Gate))
    return next((step for step in gates if state.steps[step.id].status not in _OVER), None)
