"""Whether there is room in the maintenance window for what comes next."""

from __future__ import annotations

from datetime import datetime, timedelta

from ctmupgrade.core.model import Window
from ctmupgrade.core.plan.plan import Plan
from ctmupgrade.core.plan.steps import AwaitNode, Reboot, RunUpgrade, Settle, Step


def not_begun(window: Window, now: datetime) -> str:
    """Return that the window has not begun; "" where it has."""
    if window.start is not None and now < window.start:
        return f"the maintenance window begins at {window.start.isoformat()}"
    return ""


def no_room(window: Window, plan: Plan, step: Step, now: datetime) -> str:
    """Return why a node's upgrade may not start any more; "" where it ends before the window does."""
    if window.finish_by is None:
        return ""
    need = sum(s.estimate_s for s in plan.steps if s.node == step.node and _from_upgrade(s))
    if now + timedelta(seconds=need) <= window.finish_by:
        return ""
    return (
        f"no room for {step.node}: it needs about {need // 60} min, and the maintenance window ends at "
        f"{window.finish_by.isoformat()}"
    )


def _from_upgrade(step: Step) -> bool:
    return isinstance(step.action, RunUpgrade | Reboot | AwaitNode | Settle)
