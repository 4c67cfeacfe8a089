"""When a run's steps, its nodes and all of it will probably be done, usually and at worst. Never a time-out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ctmupgrade.core.model import Window
from ctmupgrade.core.plan.estimates import worst_of
from ctmupgrade.core.plan.steps import Step
from ctmupgrade.core.plan.windows import waits_for_window
from ctmupgrade.core.run.journal import RunState, Status

OVER = (Status.DONE, Status.SKIPPED)


@dataclass(frozen=True, slots=True)
class Span:
    """When a step, or a node's steps, begin, usually end, and end at worst."""

    begins: datetime
    ends: datetime
    worst: datetime


@dataclass(frozen=True, slots=True)
class Forecast:
    """The steps that are left, by id."""

    steps: Mapping[str, Span] = field(default_factory=dict)

    def whole(self, ids: frozenset[str] | None = None) -> Span | None:
        """Return from the first begin to the last end.

        :param ids: of these steps alone. :returns: None where none of them is left.
        """
        spans = [span for step, span in self.steps.items() if ids is None or step in ids]
        if not spans:
            return None
        return Span(min(s.begins for s in spans), max(s.ends for s in spans), max(s.worst for s in spans))


def forecast(state: RunState, now: datetime, window: Window) -> Forecast:
    """Return when what is left will probably happen, if it goes on at once.

    A step that takes longer than it usually does is expected to end now, and what follows it after that.

    :param now: with time zone. :param window: the run's; what changes a node waits for its begin.
    """
    found: dict[str, Span] = {}
    for step in state.plan.steps:
        held = state.steps[step.id]
        if held.status in OVER:
            continue
        before = [found[a] for a in step.after if a in found]
        begins = max((span.ends for span in before), default=now)
        latest = max((span.worst for span in before), default=now)
        if window.start is not None and waits_for_window(step):
            begins, latest = max(begins, window.start), max(latest, window.start)
        if held.status is Status.STARTED and held.started is not None:
            begins = latest = held.started
        found[step.id] = _span(step, begins, latest, now)
    return Forecast(found)


def _span(step: Step, begins: datetime, latest: datetime, now: datetime) -> Span:
    ends = max(now, begins + timedelta(seconds=step.estimate_s))
    worst = max(ends, latest + timedelta(seconds=worst_of(step)))
    return Span(begins, ends, worst)
