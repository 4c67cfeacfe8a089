"""A new cluster of one, on the node whose data becomes the cluster's.

What is joined to it afterwards is erased. So it counts as done only where this step can have made it: a node that
somebody joined into another cluster meanwhile has lost its own data to that one.
"""

from __future__ import annotations

from collections.abc import Generator
from datetime import timedelta

from ctmupgrade.actions.answers import note_refusal
from ctmupgrade.actions.base import Ctx, LookResult, LookState, Patience, StepHandler, known
from ctmupgrade.actions.membership import MEMBER, UNDER_WAY, members_seen_by
from ctmupgrade.collect.ask import ask
from ctmupgrade.core.commands import new_cluster_argv
from ctmupgrade.core.go_on import GoOn
from ctmupgrade.core.looks import ksctl_probes
from ctmupgrade.core.looks.cluster_views import Membership
from ctmupgrade.core.plan.steps import Step
from ctmupgrade.core.run.journal import Evidence
from ctmupgrade.core.ticks import Noted, TaskPart, Tick
from ctmupgrade.errors import InconclusiveError

NONE, SENT = (
    {"cluster": "none"},
    {"cluster": "sent before"},
)  # journaled before it: whether an earlier start may have made it


class NewClusterHandler(StepHandler):
    """``cluster new`` on the upgraded survivor."""

    def patience(self, ctx: Ctx) -> Patience:
        """Wait ``timeouts.service``; two looks must agree."""
        return Patience(
            ctx.cluster.timeouts.service, looks=2, grace=timedelta(seconds=max(60.0, 3 * ctx.poll))
        )

    def prepare(self, ctx: Ctx, step: Step) -> Generator[Tick, None, Evidence]:
        """Make sure that the node is in no cluster, unless an earlier start of this step may have made it one."""
        own = _membership(ctx, step)
        if ctx.baselines.get(step.id) or ctx.earlier.get(step.id):
            return SENT
        if own.node_id and own.code in MEMBER:
            raise InconclusiveError(
                f"{step.id}: not started: {step.node} is in a cluster that this run did not make (id {own.node_id})",
                remedy=_remedy(step),
                go_on=GoOn.DONE_OR_RETRY,
            )
        return NONE
        yield  # pragma: no cover - makes it a generator

    def start(self, ctx: Ctx, step: Step, before: Evidence) -> TaskPart:
        """Send ``cluster new``, with the address that was recorded of the node."""
        node = ctx.cluster.node(step.node)
        public = ctx.recorded(step.node).get("public_address", "")
        reply = ctx.fleet.control(step.node).change(*new_cluster_argv(node, public))
        yield Noted(note_refusal(ctx, step, reply, "cluster new"))

    def look(self, ctx: Ctx, step: Step, before: Evidence) -> LookResult:
        """Ask the node itself: done when it says that it is a ready member, has an id, and is alone in its cluster."""
        own = _membership(ctx, step)
        if not (own.node_id and own.code == "r"):
            so = LookState.GOING_ON if own.node_id and own.code in UNDER_WAY else LookState.NOT_YET
            return LookResult(so, f"it reports {own.code or 'no cluster'}")
        members = members_seen_by(ctx, step.node)
        if others := [m.host or m.node_id for m in members if own.node_id != m.node_id and not m.is_this]:
            return _not_ours(step, f"it is in a cluster with {', '.join(others)}", GoOn.ABORT_AND_RECOVER)
        session = ctx.session(step)
        if session.refused and session.definite and before == NONE:
            why = f"it is in a cluster that this run did not make: {session.refused}"
            return _not_ours(step, why, GoOn.DONE_OR_RETRY)
        return LookResult(LookState.DONE, evidence={"node_id": own.node_id})


def _membership(ctx: Ctx, step: Step) -> Membership:
    own = ask(ctx.fleet.control(step.node), ksctl_probes.MEMBERSHIP)
    return known(own, f"{step.node}: its cluster state")


def _not_ours(step: Step, why: str, how: GoOn) -> LookResult:
    return LookResult(LookState.UNKNOWN, why, remedy=_remedy(step), go_on=how, final=True)


def _remedy(step: Step) -> str:
    return (
        f"find out who made that cluster: {step.node} lost its own data if it was joined to it. No node was erased. Go on only "
        f"where {step.node} has the cluster's data: ksctl keys list   # on {step.node}"
    )
