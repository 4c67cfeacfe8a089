"""When each step was planned and when it really was, and how long each node was out of service."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from ctmupgrade.core.model import Window
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.plan import steps
from ctmupgrade.core.plan.steps import Step, changes_node, in_service
from ctmupgrade.core.plan.windows import usual_times
from ctmupgrade.core.run.attempts import Attempt
from ctmupgrade.core.run.journal import RunState, Status

_PHASES: dict[type, str] = {
    steps.VerifyArchive: "verify archive",
    steps.MakeBackup: "backup",
    steps.StageArchive: "upload",
    steps.Gate: "gate",
    steps.RunUpgrade: "upgrade",
    steps.Reboot: "reboot",
    steps.AwaitNode: "come back",
    steps.Settle: "settle",
    steps.RecordSettings: "record settings",
    steps.RemoveNode: "remove",
    steps.DeleteClusterConfig: "leave cluster",
    steps.ResetNode: "reset",
    steps.NewCluster: "new cluster",
    steps.RestoreSettings: "restore settings",
    steps.JoinNode: "join",
    steps.CompareSettings: "compare settings",
    steps.RestartServices: "restart services",
}


@dataclass(frozen=True, slots=True)
class Bar:
    """One step in the timeline.

    :ivar phase: what it is, in a word or two. :ivar serves: its node serves clients meanwhile.
    :ivar planned: from when to when, had all gone as estimated from the run's start on.
    :ivar attempts: each with its times; none where it was not begun.
    """

    step: str
    node: str
    phase: str
    serves: bool
    planned: tuple[datetime, datetime]
    attempts: tuple[Attempt, ...]


@dataclass(frozen=True, slots=True)
class Away:
    """How long a node was out of service at most: from the first step that takes it out to the look that proved it back.

    :ivar until: None: it was not proven to be back.
    """

    node: str
    since: datetime
    until: datetime | None
    seconds: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """All bars in the plan's order.

    :ivar begins: the run's. :ivar ends: of what is known: the last event's time. :ivar locked: the step during which the
        database was locked for up to 30 s, for all nodes (docs/appliance.md 1); "": none was begun.
    """

    begins: datetime
    ends: datetime
    bars: tuple[Bar, ...]
    away: tuple[Away, ...]
    window: Window
    locked: str = ""

    @property
    def longest_away(self) -> Away | None:
        """Return the node that was out of service longest; None where no node was."""
        return max(self.away, key=lambda one: one.seconds, default=None)


def phase_of(step: Step) -> str:
    """Return what a step is in a word or two: "reboot"."""
    return _PHASES.get(type(step.action), step.action.kind.replace("-", " "))


def timeline_of(state: RunState) -> Timeline:
    """Return when the steps of a run were planned, and when they were done."""
    window = state.surroundings.window
    planned = usual_times(window, state.plan.steps, state.started)
    tried: dict[str, list[Attempt]] = {}
    for attempt in state.attempts:
        tried.setdefault(attempt.step, []).append(attempt)
    bars = tuple(
        Bar(step.id, step.node, phase_of(step), in_service(step.action) or isinstance(step.action, steps.Settle),
            planned[step.id], tuple(tried.get(step.id, ())))
        for step in state.plan.steps
    )  # fmt: skip
    return Timeline(
        state.started, max(state.started, state.at), bars, tuple(times_away(state)), window, _locked(state)
    )


def times_away(state: RunState) -> Iterator[Away]:
    """Yield how long each node was out of service, failed attempts and pauses with it; nodes that were not are left out."""
    for node in state.plan.nodes:
        mine = {step.id: step for step in state.plan.steps if step.node == node and _counts(step)}
        tried = [one for one in state.attempts if one.step in mine]
        first = next((one for one in tried if changes_node(mine[one.step].action)), None)
        if first is None:
            continue
        over = all(state.steps[step].status is Status.DONE for step in mine)
        until = max((one.ended for one in tried if one.ended is not None), default=None) if over else None
        seconds = ((until or max(first.began, state.at)) - first.began) // timedelta(seconds=1)
        yield Away(node, first.began, until, seconds)


def _counts(step: Step) -> bool:
    """Whether the node is out of service while it is done, or it proves that it is back."""
    return not in_service(step.action) and not isinstance(step.action, steps.Settle)


def _locked(state: RunState) -> str:
    """The first upgrade in a cluster locks the database of all (docs/appliance.md 1)."""
    if state.plan.strategy is not StrategyName.IN_PLACE:
        return ""
    upgrades = {step.id for step in state.plan.steps if isinstance(step.action, steps.RunUpgrade)}
    return next((one.step for one in state.attempts if one.step in upgrades), "")
