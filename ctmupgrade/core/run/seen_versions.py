"""Which version of a node looks have proven: by its own steps, or by a gate, which sees every node."""

from __future__ import annotations

from ctmupgrade.core.plan.steps import Gate, RunUpgrade
from ctmupgrade.core.run.journal import RunState, Status
from ctmupgrade.core.version import Version

NOT_SEEN = "a version that was not seen since the upgrade began"
NOT_KNOWN = "a version that is not known"


def version_after(state: RunState, node: str) -> str:
    """Return the last version that a look proved; "" where none did."""
    return state.versions_after.get(node) or last_version(state, node)


def last_version(state: RunState, node: str) -> str:
    """Return the same by the steps alone: the plan's, where none has seen it since."""
    found = state.plan.versions.get(node, "")
    for step in state.plan.steps:
        if step.node == node:
            found = state.steps[step.id].evidence.get("version", found)
    return found if _by_own_steps(state, node) else _at_gate(state, node) or found


def is_seen(state: RunState, node: str) -> bool:
    """Return whether a node's version was seen since its upgrade began; before it, it is the plan's."""
    return _by_own_steps(state, node) or bool(_at_gate(state, node))


def version_words(state: RunState, node: str) -> str:
    """Return its version, or that it is not known, to go on after "is on"."""
    return (version_after(state, node) or NOT_KNOWN) if is_seen(state, node) else NOT_SEEN


def _by_own_steps(state: RunState, node: str) -> bool:
    mine = [step for step in state.plan.steps if step.node == node]
    begun = [i for i, s in enumerate(mine) if isinstance(s.action, RunUpgrade) and state.steps[s.id].started]
    return not begun or any("version" in state.steps[s.id].evidence for s in mine[begun[0] :])


def _at_gate(state: RunState, node: str) -> str:
    """The version that the gate before another node has seen since the node's upgrade began; "" where none has."""
    begun = [
        held.started
        for step in state.plan.steps
        if step.node == node
        and isinstance(step.action, RunUpgrade)
        and (held := state.steps[step.id]).started is not None
    ]
    found = ""
    for step in state.plan.steps:
        held = state.steps[step.id]
        if not isinstance(step.action, Gate) or held.status is not Status.DONE or held.finished is None:
            continue
        if all(began is None or began < held.finished for began in begun):
            found = _of_all(held.evidence.get("all_well", "")).get(node, found)
    return found


def _of_all(text: str) -> dict[str, str]:
    """The versions in a gate's evidence, by node; what is no version, as in a journal that somebody has changed, is not among them."""
    found = {}
    for one in text.split(", "):
        name, _, version = one.partition(" ")
        try:
            found[name] = str(Version.parse(version))
        except ValueError:
            continue
    return found
