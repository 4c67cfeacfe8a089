"""Whether the maintenance window has room for a step of a run, and what it means where it has none for all."""

from __future__ import annotations

from datetime import datetime
from math import ceil

from ctmupgrade.core.model import Window
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.plan.steps import RunUpgrade, Step, changes_node
from ctmupgrade.core.plan.windows import WindowFit, clock, latest, window_fit
from ctmupgrade.core.run.journal import RunState, Status

_OVER = (Status.DONE, Status.SKIPPED)


def fit_now(state: RunState, window: Window, now: datetime) -> WindowFit | None:
    """Return how what is left of a run lies in the window; None where the window has no end."""
    over = {step for step, held in state.steps.items() if held.status in _OVER}
    return window_fit(window, state.plan.steps, state.plan.strategy, now, over=over)


def begins_something(state: RunState, step: Step) -> bool:
    """Return whether a step begins what must be finished in the window: a node's upgrade, or the rebuild."""
    if state.plan.strategy is not StrategyName.REBUILD:
        return isinstance(step.action, RunUpgrade)
    return changes_node(step.action) and not _changed(state)


def _changed(state: RunState) -> bool:
    """Whether a step that changes a node was begun."""
    return any(
        changes_node(step.action) and state.steps[step.id].status is not Status.PENDING
        for step in state.plan.steps
    )


def no_room(state: RunState, window: Window, step: Step, now: datetime) -> str:
    """Return why what ``step`` begins may not begin any more; "" where it would be finished in time."""
    fit = fit_now(state, window, now)
    if fit is None or window.finish_by is None:
        return ""
    times = next((t for t in fit.nodes if fit.at_once or t.node == step.node), None)
    if times is None or times.fits:
        return ""
    minutes = ceil((times.worst - times.begins).total_seconds() / 60)
    what = "the rebuild, all of it," if fit.at_once else step.node
    return (
        f"no room for {step.node}: {what} may need {minutes} min, until {latest(window, times.worst)}, and the maintenance "
        f"window ends at {clock(window, window.finish_by)}"
    )


def leaves_two_versions(state: RunState, window: Window, now: datetime) -> WindowFit | None:
    """Return how the plan lies in the window where no node was begun yet and not all of them fit; else None."""
    fit = fit_now(state, window, now)
    return fit if fit is not None and fit.partial and not _changed(state) else None
