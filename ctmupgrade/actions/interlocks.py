"""What only the nodes can tell, asked right before a node is erased or upgraded without a gate.

A plan, and a journal that is resumed, may say anything; the cluster itself says who holds its data.
"""

from __future__ import annotations

from ctmupgrade.actions.base import Ctx, known
from ctmupgrade.actions.restore_interlocks import refuse_unsafe_restore
from ctmupgrade.collect.ask import ask
from ctmupgrade.core.go_on import GoOn
from ctmupgrade.core.looks import ksctl_probes
from ctmupgrade.core.looks.facts import Unknown
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.plan.restore_actions import EraseNode
from ctmupgrade.core.plan.steps import JoinNode, ResetNode, RunUpgrade, Step
from ctmupgrade.errors import BlockedError, NotToldError

_MISFIT = "the plan does not fit the cluster"


def refuse_unsafe(ctx: Ctx, step: Step) -> None:
    """Make sure that a step may start, by the nodes' own answers.

    :raises BlockedError: it may not. :raises UnreachableError: a node that must be asked does not answer.
    :raises NotToldError: it answers, and is not ready yet.
    """
    refuse_unsafe_restore(ctx, step)
    match step.action:
        case ResetNode(via=via):
            _needs_holder(ctx, step, via or joined_through(ctx, step.node))
        case EraseNode(first=False):
            _needs_holder(ctx, step, joined_through(ctx, step.node))
        case JoinNode(via=via):
            _needs_holder(ctx, step, via)
        case RunUpgrade(alone=alone) if alone or ctx.cluster.strategy is not StrategyName.IN_PLACE:
            _needs_no_cluster(ctx, step)
        case _:
            pass


def joined_through(ctx: Ctx, node: str) -> str:
    """Return the member through which the plan joins a node; "" where it does not."""
    joins = (s.action for s in ctx.plan.steps if s.node == node and isinstance(s.action, JoinNode))
    return next((action.via for action in joins), "")


def _needs_holder(ctx: Ctx, step: Step, via: str) -> None:
    """Before a node is erased, another one of cluster.yaml must be a ready member of the cluster."""
    names = [node.name for node in ctx.cluster.nodes if node.name != step.node]
    if via and via not in names:
        raise BlockedError(
            f"{step.id} would erase {step.node}, and {via} is not another node of cluster.yaml",
            remedy=_MISFIT,
            go_on=GoOn.ABORT_AND_RECOVER,
        )
    silent: Unknown | None = None
    for name in [via] if via else names:
        own = ask(ctx.fleet.control(name), ksctl_probes.MEMBERSHIP)
        if isinstance(own, Unknown):
            silent = own
        elif own.node_id and own.code == "r":
            return
        elif via and own.clustered:
            raise NotToldError(f"{step.id}: {name} reports its own state as {own.code!r}, not as ready")
    if silent is not None:
        known(silent, "a node that holds the cluster's data")
    raise BlockedError(
        f"{step.id} would erase {step.node}, and {via or 'no other node'} is "
        f"{'no' if via else 'a'} ready member of a cluster: the data would be lost",
        remedy=_MISFIT,
        go_on=GoOn.ABORT_AND_RECOVER,
    )


def _needs_no_cluster(ctx: Ctx, step: Step) -> None:
    """Without a gate, only a node that no other depends on is upgraded."""
    control = ctx.fleet.control(step.node)
    own = known(ask(control, ksctl_probes.MEMBERSHIP), f"{step.node}: its cluster state")
    if not own.clustered:
        return
    members = known(ask(control, ksctl_probes.MEMBERS), f"{step.node}: the members of its cluster")
    others = [member.host for member in members if not member.is_this]
    if others:
        raise BlockedError(
            f"{step.id}: not started: {step.node} is in a cluster with {', '.join(others)}, and it is not proven that "
            "they can do without it",
            remedy=_MISFIT,
            go_on=GoOn.ABORT_AND_RECOVER,
        )
