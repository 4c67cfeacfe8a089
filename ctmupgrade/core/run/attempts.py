"""Keep every attempt at a step with its times: a retry makes the step new, and its first attempt must not be lost."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, TypeAlias

from ctmupgrade.core.plan.plan import Plan
from ctmupgrade.core.run.events import Event, NodeDecided, RunEnded, StepDone, StepFailed, StepStarted

How: TypeAlias = Literal["running", "done", "failed", "inconclusive", "left"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a step.

    :ivar ended: None while it goes on, or where its end is not known. :ivar how: how it ended; ``left``: a person's
        decision ended the wait for it, or the whole run.
    """

    step: str
    began: datetime
    ended: datetime | None = None
    how: How = "running"


def attempts_after(
    attempts: tuple[Attempt, ...], event: Event, at: datetime, plan: Plan
) -> tuple[Attempt, ...]:
    """Return the attempts after one more event. A process that takes a step up again goes on with the same attempt."""
    match event:
        case StepStarted(step):
            return attempts if _open(attempts, {step}) else (*attempts, Attempt(step, at))
        case StepDone(step):
            known = attempts if _open(attempts, {step}) else (*attempts, Attempt(step, at))
            return _closed(known, {step}, at, "done")
        case StepFailed(step, inconclusive=inconclusive):
            known = attempts if _open(attempts, {step}) else (*attempts, Attempt(step, at))
            return _closed(known, {step}, at, "inconclusive" if inconclusive else "failed")
        case RunEnded():  # nobody looks at what was begun any more
            return _closed(attempts, {step.id for step in plan.steps}, at, "left")
        case NodeDecided(node):
            return _closed(attempts, {step.id for step in plan.steps if step.node == node}, at, "left")
        case _:
            return attempts


def _open(attempts: tuple[Attempt, ...], steps: Collection[str]) -> bool:
    return bool([one for one in attempts if one.how == "running" and one.step in steps])


def _closed(
    attempts: tuple[Attempt, ...], steps: Collection[str], at: datetime, how: How
) -> tuple[Attempt, ...]:
    """With those of some steps ended; none ends before it began, whatever this machine's clock does."""
    return tuple([  # lists: each event of a run of twenty nodes comes by here
        replace(one, ended=max(one.began, at), how=how) if one.how == "running" and one.step in steps else one
        for one in attempts
    ])  # fmt: skip
