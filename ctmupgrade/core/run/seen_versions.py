"""Which version of a node looks have seen: a run's own proof, else what its looks saw, gates among them."""

from __future__ import annotations

from ctmupgrade.core.plan.steps import RunUpgrade
from ctmupgrade.core.run.journal import RunState

NOT_SEEN = "a version that was not seen since the upgrade began"
NOT_KNOWN = "a version that is not known"


def version_after(state: RunState, node: str) -> str:
    """Return the last version that a look saw; "" where none has seen the node since it was, or may have been, upgraded."""
    return state.versions_after.get(node, last_version(state, node))


def last_version(state: RunState, node: str) -> str:
    """Return the same by the run's steps alone: the plan's, where none has seen it since."""
    return state.versions_seen.get(node, state.plan.versions.get(node, ""))


def is_seen(state: RunState, node: str) -> bool:
    """Return whether a node's version was seen since its upgrade began; before it, it is the plan's. An upgrade that a person lets
    begin again has begun before."""
    mine = [step.id for step in state.plan.steps if step.node == node and isinstance(step.action, RunUpgrade)]
    begun = any(state.steps[step].started or state.steps[step].earlier for step in mine)
    return bool(state.versions_seen.get(node)) or not begun


def version_words(state: RunState, node: str) -> str:
    """Return its version, or that it is not known, to go on after "is on"."""
    return (version_after(state, node) or NOT_KNOWN) if is_seen(state, node) else NOT_SEEN
