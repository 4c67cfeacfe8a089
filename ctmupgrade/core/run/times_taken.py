"""How long a run, its nodes and its steps were to take, and really took."""

from __future__ import annotations

from ctmupgrade.core.plan.estimates import node_seconds, worst_of
from ctmupgrade.core.plan.steps import Step, in_service
from ctmupgrade.core.run.journal import RunState, Status
from ctmupgrade.core.run.report_lines import TimesLine

_OVER = (Status.DONE, Status.SKIPPED)


def step_times(state: RunState, step: Step) -> TimesLine:
    """Return it of a step; a failed one took what its last attempt took."""
    held = state.steps[step.id]
    took = None
    if held.started is not None and held.finished is not None:
        took = max(0, round((held.finished - held.started).total_seconds()))
    return TimesLine(step.estimate_s, worst_of(step), took)


def node_times(state: RunState, node: str) -> TimesLine:
    """Return for how long a node was to be out of service, and was, pauses of the run with it."""
    usual, worst = node_seconds(state.plan.steps, node)
    mine = [state.steps[s.id] for s in state.plan.steps if s.node == node and not in_service(s.action)]
    begun = [held.started for held in mine if held.started is not None]
    ended = [held.finished for held in mine if held.finished is not None]
    over = bool(begun and ended) and all(held.status in _OVER for held in mine)
    return TimesLine(usual, worst, max(0, round((max(ended) - min(begun)).total_seconds())) if over else None)


def run_times(state: RunState) -> TimesLine:
    """Return it of the whole run, pauses with it."""
    took = max(0, round((state.at - state.started).total_seconds()))
    usual, worst = state.plan.critical_path_s(), state.plan.critical_path_s(worst=True)
    return TimesLine(usual, worst, took if state.outcome in ("done", "partial") else None)
