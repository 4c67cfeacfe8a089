"""How long a run, its nodes and its steps were to take, and really took."""

from __future__ import annotations

from ctmupgrade.core.plan.estimates import node_seconds, worst_of
from ctmupgrade.core.plan.steps import Step
from ctmupgrade.core.run.journal import RunState
from ctmupgrade.core.run.report_lines import TimesLine
from ctmupgrade.core.run.timeline import times_away


def step_times(state: RunState, step: Step) -> TimesLine:
    """Return it of a step; a failed one took what its last attempt took."""
    held = state.steps[step.id]
    took = None
    if held.started is not None and held.finished is not None:
        took = max(0, round((held.finished - held.started).total_seconds()))
    return TimesLine(step.estimate_s, worst_of(step), took)


def node_times(state: RunState, node: str) -> TimesLine:
    """Return for how long a node was to be out of service, and was at most: failed attempts and pauses of the run with it,
    as :func:`times_away` counts it. It is None while the node is not proven to be back."""
    usual, worst = node_seconds(state.plan.steps, node)
    away = next((one for one in times_away(state) if one.node == node), None)
    return TimesLine(usual, worst, away.seconds if away is not None and away.until is not None else None)


def run_times(state: RunState) -> TimesLine:
    """Return it of the whole run, pauses with it."""
    took = max(0, round((state.at - state.started).total_seconds()))
    usual, worst = state.plan.critical_path_s(), state.plan.critical_path_s(worst=True)
    return TimesLine(usual, worst, took if state.outcome in ("done", "partial") else None)
