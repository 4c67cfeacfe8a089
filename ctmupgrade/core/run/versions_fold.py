"""Which version a look last saw on each node, as a fold over the journal: what was seen stays seen, though the look that saw
it is made again, and fails."""

from __future__ import annotations

from collections.abc import Mapping

from ctmupgrade.core.plan.plan import Plan
from ctmupgrade.core.plan.steps import Gate, RunUpgrade
from ctmupgrade.core.run.events import Event, NodeDecided, StepDone, StepFailed, StepStarted
from ctmupgrade.core.run.step_state import Status, StepState
from ctmupgrade.core.version import Version

_STUCK = (Status.FAILED, Status.INCONCLUSIVE, Status.STARTED)


def seen_of(node: str) -> str:
    """Return under which name a failed look keeps the version that it saw of a node."""
    return f"{node}: version"


def versions_after(
    held: Mapping[str, str], event: Event, plan: Plan, steps: Mapping[str, StepState]
) -> Mapping[str, str]:
    """Return the versions after one more event, by node. A node that is missing has not been seen since the plan was made, or
    since its upgrade began; of one with "" the upgrade is done, or may be, and nothing has seen it since.

    :param steps: as they were before the event.
    """
    match event:
        case StepStarted(step) if isinstance(plan.step(step).action, RunUpgrade):
            node = plan.step(step).node
            return {name: version for name, version in held.items() if name != node or not version}
        case StepDone(step, evidence) if isinstance(plan.step(step).action, Gate):  # it sees every node
            return {**held, **_of_all(evidence.get("all_well", ""), plan)}
        case StepDone(step, evidence) if plan.step(step).node:
            upgraded = isinstance(plan.step(step).action, RunUpgrade)
            return _with(held, plan.step(step).node, evidence.get("version"), upgraded=upgraded)
        case StepFailed(step, _, _, _, inconclusive, _, seen):
            action, node = plan.step(step).action, plan.step(step).node
            may_be = inconclusive and isinstance(action, RunUpgrade) and steps[step].started is not None
            told = {name: seen[seen_of(name)] for name in plan.versions if seen_of(name) in seen}
            return {**_with(held, node, None, upgraded=may_be), **told}
        case NodeDecided(node, "done"):
            mine = [s for s in plan.steps if s.node == node and isinstance(s.action, RunUpgrade)]
            said = any(steps[s.id].status in _STUCK for s in mine)
            return _with(held, node, None, upgraded=said)
        case _:
            return held


def _with(held: Mapping[str, str], node: str, version: str | None, *, upgraded: bool) -> Mapping[str, str]:
    if version is None and not upgraded:
        return held
    return {**held, node: version or ""}


def _of_all(text: str, plan: Plan) -> dict[str, str]:
    """The versions in a gate's evidence, by node; what is no version, as in a journal that somebody has changed, is not among them."""
    found = {}
    for one in text.split(", "):
        name, _, version = one.partition(" ")
        try:
            told = str(Version.parse(version))
        except ValueError:
            continue
        if name in plan.versions:
            found[name] = told
    return found
