"""Which looks are done again when a run is resumed: those whose result something still stands on."""

from __future__ import annotations

from ctmupgrade.core.plan.steps import RunUpgrade, StageArchive, Step, VerifyArchive, changes_node
from ctmupgrade.core.run.journal import RunState, Status


def leads_to_change(state: RunState, step: Step) -> bool:
    """Return whether a change that is not begun yet relies on what a step saw."""
    steps = state.plan.steps
    if isinstance(step.action, VerifyArchive):
        return any(
            isinstance(s.action, StageArchive | RunUpgrade) and state.steps[s.id].status is not Status.DONE
            for s in steps
        )
    followers = [s for s in steps if step.id in s.after]
    untouched = [s for s in followers if state.steps[s.id].status is Status.PENDING]
    return (
        bool(followers)
        and len(untouched) == len(followers)
        and any(changes_node(s.action) for s in followers)
    )
