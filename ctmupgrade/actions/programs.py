"""The operator's programs of a run: journaled before they run, and what follows from how they end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ctmupgrade.actions.base import Ctx
from ctmupgrade.collect.own_checks import ask_own
from ctmupgrade.core.hooks import OwnCheck
from ctmupgrade.core.own_programs import filled, variables
from ctmupgrade.core.run import journal, programs
from ctmupgrade.core.run.incidents import program_failure
from ctmupgrade.core.run.journal import Event, RunState
from ctmupgrade.ports import ProgramResult, Programs


@dataclass(slots=True)
class OperatorPrograms:
    """The hooks and checks of one process's part in a run.

    :ivar state: the run's state of now. :ivar emit: writes an event durably and folds it in.
    :ivar meanwhile: called while a program runs, so that requests are noticed. :ivar runner: None: none is run.
    """

    ctx: Ctx
    runner: Programs | None
    state: Callable[[], RunState]
    emit: Callable[[Event], None]
    meanwhile: Callable[[], None]

    def before(self, scope: str, node: str = "") -> str:
        """Run ``before_SCOPE`` where it is due; return why nothing may follow, "" where it may."""
        what = f"before_{scope}"
        if self.runner is None or not self.ctx.cluster.hooks.argv(what):
            return ""
        if not programs.before_due(self.state(), scope, node):
            return ""
        ended = self._hook(self.runner, what, node)
        return program_failure(what, node, ended.code, ended.output, ended.error) if ended.code else ""

    def after(self, scope: str, node: str, outcome: str) -> None:
        """Run ``after_SCOPE`` where it is owed. How it ends is only reported."""
        cluster, what = self.ctx.cluster, f"after_{scope}"
        if self.runner is None or not cluster.hooks.argv(what):
            return
        if programs.after_owed(self.state(), cluster, scope, node):
            self._hook(self.runner, what, node, outcome)

    def between(self) -> list[str]:
        """Run what is due for nodes that are over: the operator's checks, then ``after_node``.

        :returns: why no other node may be started.
        """
        failures: dict[str, list[str]] = {}
        if self.runner is None:
            return []
        for check, node in list(programs.checks_due(self.state(), self.ctx.cluster)):
            ended = self._check(self.runner, check, node)
            if ended.code:
                text = program_failure(f"the check {check.name}", node, ended.code, ended.output, ended.error)
                failures.setdefault(node, []).append(text)
        for node in programs.begun_nodes(self.state()):
            if programs.is_over(self.state(), node):
                outcome = "failed" if node in failures else programs.outcome_of_node(self.state(), node)
                self.after("node", node, outcome)
        return [text for texts in failures.values() for text in texts]

    def end(self, outcome: str) -> None:
        """Run what is owed when this process's part is over, in whatever way."""
        for node in programs.begun_nodes(self.state()):
            self.after("node", node, programs.outcome_of_node(self.state(), node))
        self.after("run", "", outcome)

    def _hook(self, runner: Programs, what: str, node: str, outcome: str = "") -> ProgramResult:
        cluster = self.ctx.cluster
        again = programs.unfinished(self.state(), what, node)
        argv = filled(cluster.hooks.argv(what), cluster.node(node) if node else None, outcome)
        self.emit(journal.ProgramStarted(what, node, argv, outcome, again))
        given = variables(cluster, what, run=self.state().run, node=node, outcome=outcome, again=again)
        ended = runner.run(
            argv,
            variables=given,
            names=cluster.hooks.environment,
            timeout=cluster.hooks.timeout.total_seconds(),
            meanwhile=self.meanwhile,
        )
        self.emit(journal.ProgramEnded(what, node, ended.code, ended.output, ended.error))
        return ended

    def _check(self, runner: Programs, check: OwnCheck, node: str) -> ProgramResult:
        what, cluster = programs.own_check(check.name), self.ctx.cluster
        again = programs.unfinished(self.state(), what, node)
        self.emit(journal.ProgramStarted(what, node, filled(check.run, cluster.node(node)), again=again))
        ended = ask_own(
            check, cluster, cluster.node(node), self.ctx.fleet, runner, run=self.state().run,
            meanwhile=self.meanwhile,
        )  # fmt: skip
        self.emit(journal.ProgramEnded(what, node, ended.code, ended.output, ended.error))
        return ended
