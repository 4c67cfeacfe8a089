"""The end of a drill: how much the spare has beside the living cluster, and the spare empty again, proven."""

from __future__ import annotations

import json
from collections.abc import Generator
from datetime import timedelta

from ctmupgrade.actions.base import Ctx, LookResult, LookState, Patience, StepHandler, known
from ctmupgrade.actions.restoring import counted
from ctmupgrade.actions.services import ResetHandler, had
from ctmupgrade.collect.ask import ask
from ctmupgrade.collect.counts import count_of
from ctmupgrade.core.go_on import GoOn
from ctmupgrade.core.looks import ksctl_probes
from ctmupgrade.core.looks.facts import Unknown
from ctmupgrade.core.looks.holding import AS_NEW
from ctmupgrade.core.plan.restore_actions import CompareCounts, ResetSpare
from ctmupgrade.core.plan.steps import ResetNode, Step
from ctmupgrade.core.run.journal import Evidence
from ctmupgrade.core.ticks import Noted, Tick
from ctmupgrade.errors import NodeError, NotToldError, UnreachableError


class CompareCountsHandler(StepHandler):
    """Asks the spare and a living member how many keys and users each has. A difference is told and fails nothing: clients
    have written since the backup."""

    def __init__(self, action: CompareCounts) -> None:
        self.action = action

    def patience(self, ctx: Ctx) -> Patience:
        """Wait ``timeouts.service``."""
        return Patience(ctx.cluster.timeouts.service, grace=timedelta(0))

    def look(self, ctx: Ctx, step: Step, before: Evidence) -> LookResult:
        """Ask both. :raises UnreachableError: no member answers."""
        here, there, member = counted(ctx, step.node), dict[str, int](), ""
        for member in self.action.members:
            if there := counted(ctx, member):
                break
        if not there:
            raise UnreachableError(
                f"{step.id}: no node of the cluster tells how many keys and users it has",
                remedy=f"ctmupgrade check; or leave this step out: ctmupgrade node skip {ctx.run} {step.node}",
            )
        words = [
            f"{name}: {here.get(name, 'not told')} in the backup, {count} on {member}"
            for name, count in sorted(there.items())
        ]
        evidence = {"counts": json.dumps(here, sort_keys=True), "compared": "; ".join(words)}
        return LookResult(LookState.DONE, evidence=evidence, note=Noted("; ".join(words)))


class ResetSpareHandler(ResetHandler):
    """``services reset`` of the spare; done when it has no key, no user but the first, and none of the cluster's backup keys."""

    def __init__(self, action: ResetSpare) -> None:
        super().__init__(ResetNode())

    def prepare(self, ctx: Ctx, step: Step) -> Generator[Tick, None, Evidence]:
        """Make sure that it is in no cluster. :raises NodeError: it is in one."""
        own = known(
            ask(ctx.fleet.control(step.node), ksctl_probes.MEMBERSHIP), f"{step.node}: its cluster state"
        )
        if own.clustered:
            raise NodeError(
                f"{step.id}: {step.node} is in a cluster now, so it is not reset",
                remedy=f"find out who joined it: ksctl cluster nodes list   # on {step.node}",
            )
        return {"reset": "asked", **had(ctx, step.node)}
        yield  # pragma: no cover - makes it a generator

    def look(self, ctx: Ctx, step: Step, before: Evidence) -> LookResult:
        """Judge by its services, then by what it still has.

        :raises NotToldError: it does not tell how much it has.
        """
        seen = super().look(ctx, step, before)
        if seen.state is not LookState.DONE:
            return seen
        left = []
        for name, count in count_of(ctx.fleet.control(step.node)).items():
            if isinstance(count, Unknown):
                raise NotToldError(
                    f"{step.id}: how many {name} {step.node} still has is not known: {count.words}"
                )
            if count > AS_NEW.get(name, 0):
                left.append(f"{count} {name}")
        if left:
            return LookResult(
                LookState.GOING_ON, f"{step.node} still has {' and '.join(left)}",
                remedy=f"ksctl services reset   # on {step.node}: it still has the cluster's data", go_on=GoOn.RETRY,
            )  # fmt: skip
        return LookResult(LookState.DONE, evidence={**seen.evidence, "left": "no key, no user but the first"})
