"""Whether a plan fits into its maintenance window: clock times, in the window's own zone, and how many nodes fit.

A node fits where it would be done by the end of the window even if it takes longer than usual. Nothing is cut off at
the end: what has begun goes on. In a rebuild all that follows the first removal must fit, for a cluster in pieces is no
place to stop at.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ctmupgrade.core.model import Window
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.plan.estimates import worst_of
from ctmupgrade.core.plan.steps import Gate, Step, in_service


@dataclass(frozen=True, slots=True)
class NodeTimes:
    """When a node is out of service: from, usually until, and until at worst."""

    node: str
    begins: datetime
    ends: datetime
    worst: datetime
    fits: bool


@dataclass(frozen=True, slots=True)
class WindowFit:
    """How a plan lies in its window.

    :ivar at_once: all or nothing, as in a rebuild; ``nodes`` then has one entry, for all of it.
    """

    window: Window
    nodes: tuple[NodeTimes, ...]
    at_once: bool = False

    @property
    def fitting(self) -> int:
        """Return how many nodes fit, from the first on: none overtakes another."""
        return next((i for i, times in enumerate(self.nodes) if not times.fits), len(self.nodes))

    @property
    def whole(self) -> bool:
        """Return whether all of it fits."""
        return self.fitting == len(self.nodes)

    @property
    def partial(self) -> bool:
        """Return whether some nodes fit and others do not: the cluster would be left with two versions."""
        return 0 < self.fitting < len(self.nodes)


def window_fit(
    window: Window,
    steps: Sequence[Step],
    strategy: StrategyName,
    now: datetime,
    *,
    over: Collection[str] = (),
) -> WindowFit | None:
    """Return how the steps that are left lie in the window; None where it has no end, or nothing is left.

    What takes no node out of service may be done before the window begins.

    :param over: ids of steps that are done or skipped. :param now: with time zone.
    """
    if window.finish_by is None:
        return None
    spans = usual_times(window, steps, now, over)
    groups = _groups(steps, strategy, spans)
    nodes = tuple(_times(name, group, spans, window.finish_by) for name, group in groups)
    return WindowFit(window, nodes, strategy is StrategyName.REBUILD) if nodes else None


def usual_times(
    window: Window, steps: Sequence[Step], now: datetime, over: Collection[str] = ()
) -> dict[str, tuple[datetime, datetime]]:
    """Return when each step that is left begins and usually ends, by its id.

    :param over: ids of steps that are done or skipped. :param now: with time zone.
    """
    found: dict[str, tuple[datetime, datetime]] = {}
    for step in steps:
        if step.id in over:
            continue
        begins = max((found[a][1] for a in step.after if a in found), default=now)
        if window.start is not None and waits_for_window(step):
            begins = max(begins, window.start)
        found[step.id] = (begins, begins + timedelta(seconds=step.estimate_s))
    return found


def waits_for_window(step: Step) -> bool:
    """Return whether a step has no business before the window: what changes a node, and the gate before it."""
    return isinstance(step.action, Gate) or not in_service(step.action)


def _groups(
    steps: Sequence[Step], strategy: StrategyName, spans: Collection[str]
) -> Iterator[tuple[str, list[Step]]]:
    """What must not be torn apart: a node's steps; in a rebuild all of them."""
    left = [step for step in steps if step.id in spans and not in_service(step.action)]
    if strategy is StrategyName.REBUILD:
        if left:
            yield "the whole rebuild", left
        return
    for node in dict.fromkeys(step.node for step in left):
        yield node, [step for step in left if step.node == node]


def _times(
    name: str, group: list[Step], spans: dict[str, tuple[datetime, datetime]], finish_by: datetime
) -> NodeTimes:
    begins, ends = min(spans[s.id][0] for s in group), max(spans[s.id][1] for s in group)
    worst: dict[str, datetime] = {}
    for step in group:
        base = max((worst[a] for a in step.after if a in worst), default=spans[step.id][0])
        worst[step.id] = base + timedelta(seconds=worst_of(step))
    latest = max(worst.values())
    return NodeTimes(name, begins, ends, latest, latest <= finish_by)


def not_begun(window: Window, now: datetime) -> str:
    """Return that the window has not begun; "" where it has."""
    if window.start is not None and now < window.start:
        return f"the maintenance window begins at {window.start.isoformat(' ', 'minutes')}"
    return ""


def clock(window: Window, moment: datetime, *, day: bool = True) -> str:
    """Return a time as the window's clock shows it, with its offset: that of the window's end."""
    end = window.finish_by or window.start
    there = moment.astimezone(end.tzinfo) if end is not None else moment
    return there.isoformat(" ", "minutes") if day else f"{there:%H:%M}"


def latest(window: Window, moment: datetime, *, day: bool = True) -> str:
    """Return :func:`clock` of the first whole minute that is not before ``moment``: a time up to which something may last
    is never told as one at which it would still fit."""
    over = timedelta(seconds=moment.second, microseconds=moment.microsecond)
    return clock(window, moment + (timedelta(minutes=1) - over if over else over), day=day)


def window_words(window: Window) -> str:
    """Return from when to when a window lasts. Where the clocks change in it, both ends keep their own offset."""
    if window.start is None:
        return f"until {clock(window, window.finish_by)}" if window.finish_by else "at any time"
    begin = window.start.isoformat(" ", "minutes")
    return f"from {begin}" + (f" to {clock(window, window.finish_by)}" if window.finish_by else "")


def fit_summary(fit: WindowFit) -> str:
    """Return in one sentence how many nodes fit."""
    if fit.at_once:
        what = "the whole rebuild fits" if fit.whole else "the rebuild does not fit, so it does not start"
    else:
        count = len(fit.nodes)
        what = f"{fit.fitting} of {count} node{'' if count == 1 else 's'} fit"
    return f"{what} into the maintenance window {window_words(fit.window)}"


def fit_lines(fit: WindowFit) -> Iterator[str]:
    """Yield a line for each node, or for all of a rebuild: its clock times, and whether it fits."""
    for times in fit.nodes:
        day = (
            times.begins.astimezone(times.worst.tzinfo).date() != times.worst.date()
            or fit.window.start is None
        )
        begins = clock(fit.window, times.begins)
        ends, worst = clock(fit.window, times.ends, day=day), latest(fit.window, times.worst, day=day)
        yield f"{times.node}: {begins} to {ends}, at worst {worst}{'' if times.fits else ': does not fit'}"
