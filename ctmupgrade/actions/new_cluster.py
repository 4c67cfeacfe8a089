"""A new cluster of one, on the node whose data becomes the cluster's."""

from __future__ import annotations

from datetime import timedelta

from ctmupgrade.actions.answers import note_refusal
from ctmupgrade.actions.base import Ctx, LookResult, LookState, Patience, StepHandler, known
from ctmupgrade.actions.membership import UNDER_WAY
from ctmupgrade.collect.ask import ask
from ctmupgrade.core.commands import new_cluster_argv
from ctmupgrade.core.looks import ksctl_probes
from ctmupgrade.core.plan.steps import Step
from ctmupgrade.core.run.journal import Evidence
from ctmupgrade.core.ticks import Noted, TaskPart


class NewClusterHandler(StepHandler):
    """``cluster new`` on the upgraded survivor."""

    def patience(self, ctx: Ctx) -> Patience:
        """Wait ``timeouts.service``; two looks must agree."""
        return Patience(
            ctx.cluster.timeouts.service, looks=2, grace=timedelta(seconds=max(60.0, 3 * ctx.poll))
        )

    def start(self, ctx: Ctx, step: Step, before: Evidence) -> TaskPart:
        """Send ``cluster new``, with the address that was recorded of the node."""
        node = ctx.cluster.node(step.node)
        public = ctx.recorded(step.node).get("public_address", "")
        reply = ctx.fleet.control(step.node).change(*new_cluster_argv(node, public))
        yield Noted(note_refusal(ctx, step, reply, "cluster new"))

    def look(self, ctx: Ctx, step: Step, before: Evidence) -> LookResult:
        """Ask the node itself: done when it says that it is a ready member, and has an id."""
        own = known(
            ask(ctx.fleet.control(step.node), ksctl_probes.MEMBERSHIP), f"{step.node}: its cluster state"
        )
        if own.node_id and own.code == "r":
            return LookResult(LookState.DONE, evidence={"node_id": own.node_id})
        so = LookState.GOING_ON if own.node_id and own.code in UNDER_WAY else LookState.NOT_YET
        return LookResult(so, f"it reports {own.code or 'no cluster'}")
