"""Which releases the nodes may have at a moment of a run."""

from __future__ import annotations

from ctmupgrade.core.plan.steps import step_id
from ctmupgrade.core.run import journal
from ctmupgrade.core.run.journal import RunState, Status, said_only
from ctmupgrade.core.version import Version


def expected_releases(state: RunState) -> dict[str, tuple[object, ...]]:
    """Per node the releases it may have now: the old one until its upgrade, the target's after it; either
    one where an operator decided or an attempt is under way."""
    target = Version.parse(state.plan.target.version).identity
    decided = {d.node for d in state.decisions}
    expected: dict[str, tuple[object, ...]] = {}
    for node, text in state.plan.versions.items():
        old = Version.parse(text).identity if text else None
        step = state.steps.get(step_id("reboot", node))
        upgrade = state.steps.get(step_id("upgrade", node))
        back = state.steps.get(step_id("await", node))
        if back is not None and back.status is Status.DONE and not said_only(back):
            expected[node] = (target,)  # a look has seen it: whatever was decided before is over
        elif node in decided or (upgrade and upgrade.status in journal.STUCK):
            expected[node] = (old, target)
        elif step is not None and step.status is Status.DONE:
            expected[node] = (target,)
        else:
            expected[node] = (old,)
    return expected
