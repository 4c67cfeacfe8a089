"""What only the nodes can tell before a backup overwrites one, or something joins it.

A plan, and a journal that is resumed, may say anything: no node that holds the cluster's data is overwritten unless a
person has given it up by name, and nothing joins a node whose restore has not ended (vendor page "Clusters and Nodes":
other nodes may not boot again).
"""

from __future__ import annotations

from ctmupgrade.actions.base import Ctx, known
from ctmupgrade.actions.restoring import is_restore, restore_ended, wanted_counts
from ctmupgrade.collect import collect
from ctmupgrade.collect.ask import ask
from ctmupgrade.collect.counts import count_of
from ctmupgrade.core.checks import health
from ctmupgrade.core.go_on import GoOn
from ctmupgrade.core.looks import state_probes
from ctmupgrade.core.looks.facts import Unknown
from ctmupgrade.core.looks.holding import Holding, Holds, holding_of
from ctmupgrade.core.plan.restore_actions import EraseNode, ResetSpare, RestoreBackup
from ctmupgrade.core.plan.steps import JoinNode, NewCluster, ResetNode, Step
from ctmupgrade.errors import BlockedError, NotToldError, NotYetError, UnreachableError

_MISFIT = "the plan does not fit the cluster"


def refuse_unsafe_restore(ctx: Ctx, step: Step) -> None:
    """Make sure that a step of a restore, or a join, may start, by the nodes' own answers.

    :raises BlockedError: it may not. :raises UnreachableError: a node that must be asked does not answer.
    :raises NotToldError: it answers, and does not tell, or not yet.
    """
    match step.action:
        case RestoreBackup(gone=gone):
            _needs_lost_cluster(ctx, step, gone)
        case EraseNode(first=True):
            _needs_lost_cluster(ctx, step, _given_up(ctx))
        case ResetNode() if restores(ctx):
            _refuse_data(step, step.node, _holding(ctx, step.node), _given_up(ctx))
        case ResetSpare():
            _needs_no_member(ctx, step)
        case NewCluster() if step.node in restores(ctx):
            _needs_ended(ctx, step, step.node)
        case JoinNode(via=via):
            _needs_ended(ctx, step, via)
        case _:
            pass


def _needs_no_member(ctx: Ctx, step: Step) -> None:
    """The spare of a drill is in no cluster, by its own word."""
    held = _holding(ctx, step.node)
    if held.state is Holds.SILENT:
        raise UnreachableError(f"{step.id}: {step.node}: {held.why}")
    if held.member:
        raise _blocked(f"{step.id}: not started: {step.node} is a member of a cluster: {held.why}")


def restores(ctx: Ctx) -> tuple[str, ...]:
    """Return the nodes that the plan restores a backup onto."""
    return tuple(step.node for step in ctx.plan.steps if isinstance(step.action, RestoreBackup))


def _given_up(ctx: Ctx) -> tuple[str, ...]:
    """The nodes that a person gave up by name, by the plan."""
    return next((s.action.gone for s in ctx.plan.steps if isinstance(s.action, RestoreBackup)), ())


def _holding(ctx: Ctx, name: str) -> Holding:
    facts = collect.health_of(ctx.fleet, ctx.cluster, name, ctx.clock)
    counted = {} if isinstance(facts.membership, Unknown) else count_of(ctx.fleet.control(name))
    return holding_of(facts, counted, ctx.journals, wanted_counts(ctx))


def _needs_lost_cluster(ctx: Ctx, step: Step, gone: tuple[str, ...]) -> None:
    """No node holds the cluster's data but those that were given up; the one that is overwritten is in no cluster."""
    for node in ctx.cluster.nodes:
        if node.name in gone and node.name != step.node:
            continue
        held = _holding(ctx, node.name)
        if node.name != step.node:
            _refuse_data(step, node.name, held, gone)
            continue
        if held.state is Holds.SILENT:
            raise UnreachableError(f"{node.name}: {held.why}")
        if held.others or (held.member and isinstance(step.action, RestoreBackup)):
            raise _blocked(f"{step.id}: not started: {node.name} is a member of a cluster: {held.why}")
        again = bool(
            ctx.earlier.get(step.id) or ctx.baselines.get(step.id)
        )  # this run has overwritten it before
        if not again:
            _refuse_data(step, node.name, held, gone)


def _refuse_data(step: Step, name: str, held: Holding, gone: tuple[str, ...]) -> None:
    """:raises CtmUpgradeError: the node has data, or may have, and nobody gave it up."""
    if name in gone or held.state is Holds.NOTHING:
        return
    said = f"{name} was not given up by name, and {held.why}"
    text = f"{step.id}: not started: {said}"
    match held.state:
        case Holds.DATA:
            raise _blocked(text)
        case Holds.SILENT:
            raise UnreachableError(said, remedy=f"bring {name} back; or another restore with --gone {name}")
        case _:
            raise NotToldError(text)


def _needs_ended(ctx: Ctx, step: Step, name: str) -> None:
    """The restore on a node has ended, by itself; in a run that restored it, all its services are started too."""
    job = ask(ctx.fleet.control(name), state_probes.BACKUP_JOB)
    if isinstance(job, Unknown) and name in restores(ctx) and (job.unreachable or job.later or job.login):
        known(job, f"{name}: whether its restore has ended")
    if (
        not isinstance(job, Unknown)
        and is_restore(job)
        and restore_ended(job) is None
        and job.finished is not True
    ):
        raise NotYetError(
            f"{step.id}: not started: the restore on {name} has not ended ({job.status}); other nodes may not boot again "
            "when a node joins before that"
        )
    if name in restores(ctx):
        own = collect.health_of(ctx.fleet, ctx.cluster, name, ctx.clock)
        for problem in health.service_problems({name: own}):
            kind = UnreachableError if problem.unreachable else NotYetError
            raise kind(f"{step.id}: not started: the restored {problem}")


def _blocked(text: str) -> BlockedError:
    return BlockedError(text, remedy=_MISFIT, go_on=GoOn.ABORT_AND_RECOVER)
