"""A new cluster of one, on the node whose data becomes the cluster's.

What is joined to it afterwards is erased. So it counts as done only where this step can have made it: a node that
somebody joined into another cluster meanwhile has lost its own data to that one.
"""

from __future__ import annotations

from collections.abc import Generator
from datetime import timedelta

from ctmupgrade.actions.answers import note_refusal
from ctmupgrade.actions.base import Ctx, LookResult, LookState, Patience, StepHandler, known
from ctmupgrade.actions.begun import emptied, was_begun
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

# Journaled before it: whether an earlier start may have made it.
NONE, SENT = "none", "sent before"
LATE = "if the list was only late: resume"


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
        if was_begun(ctx, step):
            held = ctx.baselines.get(step.id) or ctx.earlier.get(step.id) or {}
            return {"cluster": SENT, **{name: seen for name, seen in held.items() if name == "left"}}
        if not own.left and own.code in MEMBER:
            raise InconclusiveError(
                f"{step.id}: not started: {step.node} is in a cluster that this run did not make (id {own.node_id})",
                remedy=remedy_of(ctx, step),
                go_on=GoOn.DONE_OR_RETRY,
            )
        # One that has left may keep its id, with an empty code: looks must not take it for a new one.
        return {"cluster": NONE, **({"left": own.node_id} if own.node_id else {})}
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
            new = own.node_id and own.node_id != before.get("left")
            so = LookState.GOING_ON if new and own.code in UNDER_WAY else LookState.NOT_YET
            return LookResult(so, f"it reports {own.code or 'no cluster'}")
        session = ctx.session(step)
        foreign = bool(session.refused and session.definite and before.get("cluster") == NONE)
        members = members_seen_by(ctx, step.node)
        if others := [m.host or m.node_id for m in members if own.node_id != m.node_id and not m.is_this]:
            return self._with_others(ctx, step, others, final=foreign)
        if foreign:
            why = f"it is in a cluster that this run did not make: {session.refused}"
            return LookResult(
                LookState.UNKNOWN, why, remedy=remedy_of(ctx, step), go_on=GoOn.DONE_OR_RETRY, final=True
            )
        return LookResult(LookState.DONE, evidence={"node_id": own.node_id})

    def _with_others(self, ctx: Ctx, step: Step, others: list[str], *, final: bool) -> LookResult:
        """Others are in its list. After `cluster new` it may show the old mates for a while yet, in any state: that is
        waited for. What it was refused for is the cluster that is there, which may be our own that came late."""
        remedy = remedy_of(ctx, step)
        if not final:
            ctx.session(step).refused, remedy = "", f"{remedy}\n{LATE}"
        why = f"it is in a cluster with {', '.join(others)}"
        return LookResult(LookState.UNKNOWN, why, remedy=remedy, go_on=GoOn.ABORT_AND_RECOVER, final=final)


def _membership(ctx: Ctx, step: Step) -> Membership:
    own = ask(ctx.fleet.control(step.node), ksctl_probes.MEMBERSHIP)
    return known(own, f"{step.node}: its cluster state")


def remedy_of(ctx: Ctx, step: Step) -> str:
    """Return what a person finds out first. In a restore a node was erased before, perhaps this one."""
    whole = "" if emptied(ctx) else "No node was erased. "
    return (
        f"find out who made that cluster: {step.node} lost its own data if it was joined to it. {whole}Go on only "
        f"where {step.node} has the cluster's data: ksctl keys list   # on {step.node}"
    )
