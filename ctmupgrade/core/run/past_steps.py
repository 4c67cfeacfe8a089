"""What the journals of a cluster's runs tell about how long steps took."""

from __future__ import annotations

from collections.abc import Iterable

from ctmupgrade.core.past_times import PastStep, PastTimes
from ctmupgrade.core.plan.estimates import LEARNT, hop_of
from ctmupgrade.core.plan.steps import Step
from ctmupgrade.core.run.journal import RunState, Status
from ctmupgrade.core.version import Version

_LEAST_S = 1.0  # what took less was done already
_MOST_S = 86400.0  # what took longer waited for a person, or a clock was set


def past_times(states: Iterable[RunState]) -> PastTimes:
    """Return how long the steps took that were done in one go. :param states: of runs, oldest first."""
    steps: list[PastStep] = []
    runs = 0
    for state in states:
        mine = [found for step in state.plan.steps if (found := _past(state, step))]
        runs += bool(mine)
        steps += mine
    return PastTimes(tuple(steps), runs)


def _past(state: RunState, step: Step) -> PastStep | None:
    held, kind = state.steps[step.id], step.action.kind
    if kind not in LEARNT or held.status is not Status.DONE or held.started is None or held.finished is None:
        return None
    seconds = (held.finished - held.started).total_seconds()
    if (
        not _LEAST_S <= seconds <= _MOST_S
        or "operator" in held.evidence
        or "unchanged_since" in held.evidence
    ):
        return None
    if any(held.started < one.at < held.finished or one.step == step.id for one in state.incidents):
        return None  # a failure, a pause, a clock that was set: its time is not the step's own
    return PastStep(kind, step.node, _hop(state, step.node), seconds, state.plan.target.size)


def _hop(state: RunState, node: str) -> str:
    try:
        return hop_of(
            Version.parse(state.plan.versions.get(node, "")), Version.parse(state.plan.target.version)
        )
    except ValueError:
        return ""
