"""The proof at the end of a run: what its steps have proven of a node, the world may have undone since. While the last node was at
work, the first may have been put back to a snapshot, or out of the cluster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ctmupgrade.actions.base import Ctx, LookResult, LookState
from ctmupgrade.actions.waits import gate_look
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.plan.restore_actions import RestoreBackup
from ctmupgrade.core.plan.steps import JoinNode, RunUpgrade
from ctmupgrade.core.run.expected_releases import expected_releases
from ctmupgrade.core.run.journal import RunState
from ctmupgrade.core.run.kinds import RunKind, kind_of
from ctmupgrade.core.run.outcome import outcome_of
from ctmupgrade.core.ticks import Task, Waiting
from ctmupgrade.errors import (
    UNFORESEEN,
    CtmUpgradeError,
    ExitCode,
    HostKeyError,
    NodeError,
    UnreachableError,
    named,
)
from ctmupgrade.ports import TaskEvent, Tasks

END = "ending"  # what its task is called, beside the steps
_KINDS = (RunKind.UPGRADE, RunKind.REBUILD, RunKind.RESTORE)  # `recover` looks by itself when its run is over
_MADE = (RunUpgrade, JoinNode, RestoreBackup)  # steps that make a node a part of what is proven


@dataclass(slots=True)
class EndProof:
    """The proof of one process's part in a run.

    :ivar state: the run's state of now. :ivar stopping: whether the run shall stop.
    :ivar proven: all was seen to be well when it was over; or the run claims nothing that could be seen.
    """

    ctx: Ctx
    tasks: Tasks
    state: Callable[[], RunState]
    stopping: Callable[[], bool]
    begun: bool = False
    over: bool = False
    proven: bool = False

    def waits(self, *, all_over: bool) -> bool:
        """Begin the look when all is done; return whether the run's end waits for it still."""
        if all_over and not self.begun:
            self.begun = True
            if self._wanted():
                self.tasks.start(END, self._task())
            else:
                self.over = self.proven = True
        return self.begun and not self.over

    def takes(self, event: TaskEvent) -> CtmUpgradeError | None:
        """Take the end of the task; return why it is not proven.

        :raises Exception: a fault of ours.
        """
        self.over = True
        self.proven = event.error is None and not event.evidence
        if event.error is not None and not isinstance(event.error, CtmUpgradeError):
            raise event.error
        return event.error

    def _wanted(self) -> bool:
        state = self.state()
        return (
            kind_of(state) in _KINDS
            and outcome_of(state) == "done"
            and any(isinstance(step.action, _MADE) for step in state.plan.steps)
        )

    def _task(self) -> Task:
        """Look until all is well, or for as long as a node may take to be so. Once where the run shall stop: then evidence, which
        is none of its being well, says what was seen."""
        ctx, clock = self._judging(), self.ctx.clock
        timeouts = ctx.cluster.timeouts
        steps = self.state().plan.steps
        joins = any(isinstance(step.action, JoinNode) for step in steps)
        versions = any(isinstance(step.action, RunUpgrade) for step in steps)
        limit = max(timeouts.service, timeouts.join) if joins else timeouts.service
        began, since = clock.monotonic(), clock.now()
        while True:
            seen = _look(ctx, versions=versions)
            if seen.state is LookState.DONE:
                return {}
            if self.stopping():
                return {"seen": seen.detail}
            if clock.monotonic() - began >= limit.total_seconds():
                raise _not_proven(seen)
            yield Waiting(ctx.poll, f"before the end: {seen.detail}", since, since + limit)

    def _judging(self) -> Ctx:
        """What the gate judges by, of the nodes that the run has upgraded, joined or restored; where nodes are upgraded in place,
        of all that are in the cluster."""
        state, cluster = self.state(), self.ctx.cluster
        expected = expected_releases(state)
        if cluster.strategy is StrategyName.IN_PLACE and kind_of(state) is RunKind.UPGRADE:
            return replace(self.ctx, expected=expected)
        made = {step.node for step in state.plan.steps if isinstance(step.action, _MADE)}
        nodes = tuple(node for node in (*cluster.nodes, *cluster.fresh) if node.name in made)
        return replace(self.ctx, cluster=replace(cluster, nodes=nodes, fresh=()), expected=expected)


def _look(ctx: Ctx, *, versions: bool) -> LookResult:
    """Judge as the gate does; what does not answer, or not as any parser foresaw, is unknown.

    :raises HostKeyError: which no waiting fixes.
    """
    try:
        return gate_look(ctx, versions=versions)
    except HostKeyError:
        raise
    except CtmUpgradeError as error:
        away = error.exit_code is ExitCode.UNREACHABLE
        return LookResult(LookState.UNKNOWN, error.brief, unreachable=away)
    except UNFORESEEN as error:
        return LookResult(LookState.UNKNOWN, f"an answer is not understood ({named(error)})")


def _not_proven(seen: LookResult) -> CtmUpgradeError:
    kind = UnreachableError if seen.unreachable else NodeError
    return kind(
        f"every step is done, but at the end not all is well: {seen.detail}. ctmupgrade recover says what is wrong; a resume looks again; "
        "where a node has its old version again: ctmupgrade abort, then ctmupgrade run"
    )
