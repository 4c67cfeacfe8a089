"""Which steps of the plan were begun, by this process or by one before it: what a step may have changed already.

A journal of an earlier version has nothing of what was seen before some steps; that such a step was begun is known all
the same (:data:`ctmupgrade.core.run.step_state.BEGUN`).
"""

from __future__ import annotations

from ctmupgrade.actions.base import Ctx
from ctmupgrade.core.plan.restore_actions import EraseNode, ResetSpare, RestoreBackup
from ctmupgrade.core.plan.steps import JoinNode, ResetNode, Step

ERASING = (ResetNode, EraseNode, JoinNode, RestoreBackup, ResetSpare)  # after them, what a node had is gone


def was_begun(ctx: Ctx, step: Step) -> bool:
    """Return whether a step was ever begun, also where a person said since that it is to be done again."""
    return bool(ctx.baselines.get(step.id) or ctx.earlier.get(step.id))


def emptied(ctx: Ctx) -> frozenset[str]:
    """Return the nodes of which this run may have erased what they had."""
    return frozenset(s.node for s in ctx.plan.steps if isinstance(s.action, ERASING) and was_begun(ctx, s))
