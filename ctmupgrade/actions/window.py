"""The maintenance window of a run: what may not begin in it any more, and the wait for its begin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ctmupgrade.actions.base import Ctx
from ctmupgrade.core.plan.steps import Step
from ctmupgrade.core.plan.windows import WindowFit, fit_summary, not_begun, waits_for_window
from ctmupgrade.core.run import window_room
from ctmupgrade.core.run.journal import RunState, Status
from ctmupgrade.core.ticks import Task, Waiting

WINDOW = "window"  # what the wait is called beside the steps
_LOOK_S = 15.0  # seconds at most until a pause is noticed


@dataclass(slots=True)
class MaintenanceWindow:
    """The window of one process's part in a run.

    :ivar state: the run's state of now. :ivar accept_partial: whether only a part of the nodes may be upgraded.
    :ivar wait: steps that change a node wait for the window's begin; else they are refused.
    :ivar waiting: the wait is under way.
    """

    ctx: Ctx
    state: Callable[[], RunState]
    accept_partial: Callable[[WindowFit], bool]
    wait: bool = False
    waiting: bool = False

    def too_late(self) -> str:
        """Return why the next node would find no room even now; then nothing is prepared for it: hours of uploads may
        come first."""
        state = self.state()
        waiting = [s for s in state.plan.steps if state.steps[s.id].status in (Status.PENDING, Status.FAILED)]
        first = next((s for s in waiting if window_room.begins_something(state, s)), None)
        if first is None or state.steps[first.id].started is not None:
            return ""
        return window_room.no_room(state, self.ctx.cluster.window, first, self.ctx.clock.now())

    def late(self, step: Step) -> str:
        """Return why a step may not begin now what must be finished in the window; "" where it may."""
        state, window, now = self.state(), self.ctx.cluster.window, self.ctx.clock.now()
        if not window_room.begins_something(state, step):
            return ""
        why = not_begun(window, now) or window_room.no_room(state, window, step, now)
        fit = window_room.leaves_two_versions(state, window, now)
        if why or fit is None or self.accept_partial(fit):
            return why
        return f"not confirmed: {fit_summary(fit)}"

    def holds(self, step: Step) -> bool:
        """Return whether a step waits for the window to begin."""
        window = self.ctx.cluster.window
        if not self.wait or not waits_for_window(step) or self.state().steps[step.id].started is not None:
            return False
        return bool(not_begun(window, self.ctx.clock.now()))

    def until_it_begins(self, stopping: Callable[[], bool]) -> Task:
        """Wait until it begins by this machine's clock, which may be set meanwhile; or until the run is stopped."""
        window, since = self.ctx.cluster.window, self.ctx.clock.now()
        while window.start is not None and not stopping():
            left = (window.start - self.ctx.clock.now()).total_seconds()
            if left <= 0:
                break
            yield Waiting(min(left, _LOOK_S), not_begun(window, self.ctx.clock.now()), since, window.start)
        return {}
