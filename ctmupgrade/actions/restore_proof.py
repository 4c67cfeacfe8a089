"""The proof that a restored node is whole: its operation has ended, its services stay started, the restored login works,
and it has as much as the backup had. Looks only; a drill uses the same."""

from __future__ import annotations

from ctmupgrade.actions.base import Ctx, LookResult, LookState, Patience, StepHandler
from ctmupgrade.actions.health import health_of
from ctmupgrade.actions.restoring import WHOSE_LOGIN, another_backup, counted, is_restore, restore_ended
from ctmupgrade.collect.ask import ask
from ctmupgrade.core.checks import health
from ctmupgrade.core.looks import state_probes
from ctmupgrade.core.looks.facts import NodeFacts, Unknown
from ctmupgrade.core.node_settings import short_of
from ctmupgrade.core.plan.restore_actions import ProveRestore
from ctmupgrade.core.plan.steps import Step
from ctmupgrade.core.run.journal import Evidence


class ProveRestoreHandler(StepHandler):
    """Several good looks in a row: services go up and down for minutes after a restore (docs/appliance.md 4.2)."""

    def __init__(self, action: ProveRestore) -> None:
        self.action = action

    def patience(self, ctx: Ctx) -> Patience:
        """Wait ``timeouts.service`` for a streak of good looks over ``stable_for``."""
        steady = ctx.cluster.stable_for
        limit = ctx.cluster.timeouts.service + steady
        return Patience(limit, looks=health.STREAK, steady=steady, apart=steady / health.STREAK)

    def look(self, ctx: Ctx, step: Step, before: Evidence) -> LookResult:
        """Ask the node itself."""
        own = health_of(ctx, step.node)
        if missing := self._not_up(ctx, step, own):
            return missing
        job = ask(ctx.fleet.control(step.node), state_probes.BACKUP_JOB)
        if not isinstance(job, Unknown) and is_restore(job) and restore_ended(job) is not True:
            return LookResult(LookState.GOING_ON, f"its restore is {job.status or 'under way'}")
        now, wanted = counted(ctx, step.node), dict(self.action.counts)
        if short := list(short_of(wanted, now)):
            return LookResult(
                LookState.GOING_ON, f"it has only {' and '.join(short)} that were in the backup",
                remedy=f"look at its data\n{another_backup(ctx, step)}",
            )  # fmt: skip
        compared = ", ".join(f"{now[name]} {name}" for name in sorted(now) if name in wanted)
        evidence = {
            "version": str(own.version), "services": "started", "login": "works with the restored users",
            "counts": compared or "not compared: the manifest or the node does not tell them", "backup": self.action.backup_id,
        }  # fmt: skip
        return LookResult(LookState.DONE, evidence=evidence)

    def _not_up(self, ctx: Ctx, step: Step, own: NodeFacts) -> LookResult | None:
        """What is not there yet of services and login; None where both are."""
        version = own.version
        if isinstance(version, Unknown):
            remedy = WHOSE_LOGIN if version.login else f"bring {step.node} back"
            words = "its login is refused" if version.login else "its login does not work yet"
            return LookResult(
                LookState.UNKNOWN, f"{words}: {version.words}", remedy=remedy, unreachable=version.unreachable,
                untold=not version.unreachable,
            )  # fmt: skip
        problems = list(health.service_problems({step.node: own}))
        if problems:
            return LookResult(LookState.GOING_ON, str(problems[0]), unreachable=problems[0].unreachable)
        return None
