"""The proof at the end of a run: what its steps have proven of a node, the world may have undone since. While the last node was at
work, the first may have been put back to a snapshot, or out of the cluster.

What fails it is told as the failure of a look that the run has made before, which is opened again: so a resume makes that one
again, and this proof after it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from ctmupgrade.actions.base import Ctx, LookResult, LookState
from ctmupgrade.actions.deadline import Deadline, unknown_since
from ctmupgrade.actions.waits import WRONG_FOR, gate_look, polls_apart
from ctmupgrade.core.go_on import GoOn
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.plan.restore_actions import RestoreBackup
from ctmupgrade.core.plan.steps import Gate, JoinNode, RunUpgrade, VerifyArchive, is_look
from ctmupgrade.core.run.expected_releases import expected_releases
from ctmupgrade.core.run.journal import Event, Evidence, RunState, StepReopened
from ctmupgrade.core.run.kinds import RunKind, kind_of
from ctmupgrade.core.run.outcome import outcome_of
from ctmupgrade.core.ticks import Task, TaskPart, Waiting
from ctmupgrade.core.version import Version
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
_NOTICED_S = 1.0  # so soon a pause ends the wait


@dataclass(slots=True)
class EndProof:
    """The proof of one process's part in a run.

    :ivar state: the run's state of now. :ivar stopping: whether the run shall stop.
    :ivar emit: writes an event durably and folds it in. :ivar failed: takes the failure of a step.
    :ivar proven: all was seen to be well when it was over; or the run claims nothing that could be seen.
    :ivar unwell: the node that the last look was about; "": it told none. :ivar seen: the versions that it saw.
    """

    ctx: Ctx
    tasks: Tasks
    state: Callable[[], RunState]
    stopping: Callable[[], bool]
    emit: Callable[[Event], None]
    failed: Callable[[str, Exception], None]
    begun: bool = False
    over: bool = False
    proven: bool = False
    unwell: str = ""
    seen: Evidence = field(default_factory=dict)

    def waits(self, *, all_over: bool) -> bool:
        """Begin the look when all is done; return whether the run's end waits for it still."""
        if all_over and not self.begun:
            self.begun = True
            if self._wanted():
                self.tasks.start(END, self._task())
            else:
                self.over = self.proven = True
        return self.begun and not self.over

    def takes(self, event: TaskEvent) -> None:
        """Take the end of the task; where it is not proven that all is well, tell of it as a look that failed.

        :raises Exception: a fault of ours.
        """
        self.over, error = True, event.error
        self.proven = error is None and not event.evidence
        if error is not None:
            step = self._opened_again()
            self.emit(StepReopened(step, "not all is well at the end"))
            self.ctx.session(self.state().plan.step(step)).seen = self.seen
            self.failed(step, error)

    def _opened_again(self) -> str:
        """Return the look that is to be made again where it is not proven: the last one at the node that is not well; where that one
        has none, the last one of all."""
        looks = [
            step
            for step in self.state().plan.steps
            if is_look(step.action) and not isinstance(step.action, Gate | VerifyArchive)
        ]
        of_the_node = [step.id for step in looks if step.node == self.unwell]
        return (of_the_node or [step.id for step in looks] or [self.state().plan.steps[-1].id])[-1]

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
        ctx, clock, steps = self._judging(), self.ctx.clock, self.state().plan.steps
        timeouts = ctx.cluster.timeouts
        joins = any(isinstance(step.action, JoinNode) for step in steps)
        limit = max(timeouts.service, timeouts.join) if joins else timeouts.service
        upgrades = any(isinstance(step.action, RunUpgrade) for step in steps)
        deadline, wrong_since = Deadline(ctx), None
        while True:
            deadline.look()
            seen = self._look(ctx, upgrades=upgrades)
            if seen.state is LookState.DONE:
                return {}
            if self.stopping():
                return {"seen": seen.detail}
            now = clock.monotonic()
            wrong_since = (
                None if seen.go_on is not GoOn.NEW_RUN else now if wrong_since is None else wrong_since
            )
            lasts = wrong_since is not None and now - wrong_since >= WRONG_FOR.total_seconds()
            if lasts or deadline.over(limit, since=unknown_since(seen)):
                raise _not_proven(seen)
            yield from self._rest(
                ctx, Waiting(_NOTICED_S, seen.detail, deadline.since, deadline.until(limit))
            )

    def _rest(self, ctx: Ctx, tick: Waiting) -> TaskPart:
        """Wait until the next look, or until the run shall stop."""
        until = ctx.clock.monotonic() + ctx.poll * polls_apart(len(ctx.cluster.nodes))
        while not self.stopping() and (left := until - ctx.clock.monotonic()) > 0:
            yield replace(tick, seconds=min(left, _NOTICED_S))

    def _judging(self) -> Ctx:
        """What the gate judges by, of the nodes that the run has upgraded, joined or restored; where nodes are upgraded in place,
        of all that are in the cluster."""
        state, cluster = self.state(), self.ctx.cluster
        expected = _expected(state)
        if cluster.strategy is StrategyName.IN_PLACE and kind_of(state) is RunKind.UPGRADE:
            return replace(self.ctx, expected=expected)
        made = {step.node for step in state.plan.steps if isinstance(step.action, _MADE)}
        nodes = tuple(node for node in (*cluster.nodes, *cluster.fresh) if node.name in made)
        return replace(self.ctx, cluster=replace(cluster, nodes=nodes, fresh=()), expected=expected)

    def _look(self, ctx: Ctx, *, upgrades: bool) -> LookResult:
        """Judge as the gate does; what does not answer, or not as any parser foresaw, is unknown.

        :raises HostKeyError: which no waiting fixes.
        """
        try:
            seen = gate_look(ctx, upgrades=upgrades)
        except HostKeyError:
            raise
        except CtmUpgradeError as error:
            away = error.exit_code is ExitCode.UNREACHABLE
            seen = LookResult(LookState.UNKNOWN, error.brief, unreachable=away, remedy=error.remedy)
        except UNFORESEEN as error:
            seen = LookResult(LookState.UNKNOWN, f"an answer is not understood ({named(error)})")
        self.unwell, self.seen = seen.node, seen.seen
        return seen


def _expected(state: RunState) -> Mapping[str, tuple[object, ...]]:
    """The releases that nodes may have at the end: the target's of each that was upgraded, whatever a person decided before; a
    node that was left out may have been upgraded by hand."""
    target = Version.parse(state.plan.target.version).identity
    upgraded = {step.node for step in state.plan.steps if isinstance(step.action, RunUpgrade)}
    return {
        node: (target,) if node in upgraded else (*releases, target)
        for node, releases in expected_releases(state).items()
    }


def _not_proven(seen: LookResult) -> CtmUpgradeError:
    kind = UnreachableError if seen.unreachable else NodeError
    more = "" if seen.go_on is GoOn.NEW_RUN else "\nwhat is wrong, and the way back: ctmupgrade recover"
    remedy = f"{seen.remedy}{more}".lstrip()
    return kind(f"at the end not all is well: {seen.detail}", remedy=remedy, go_on=seen.go_on)
