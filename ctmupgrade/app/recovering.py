"""``recover``: looks at the cluster and the journal, says what is wrong, and takes the way back."""

from __future__ import annotations

from dataclasses import dataclass

from ctmupgrade.app import looking
from ctmupgrade.app.running import Outcome, Wishes, execute_plan
from ctmupgrade.app.runs import hold, new_run_id, unfinished
from ctmupgrade.app.setup import Setup
from ctmupgrade.core.model import Mode
from ctmupgrade.core.plan import Plan, plan_of
from ctmupgrade.core.recovery import Diagnosis, Known, diagnose, renumbered
from ctmupgrade.errors import ExitCode


@dataclass(frozen=True, slots=True)
class Recovery:
    """What was found, and the plan of the way back (without steps where there is none)."""

    diagnosis: Diagnosis
    plan: Plan
    unfinished: str  # a run that stopped, "" where none did
    result: looking.CheckResult


def look(setup: Setup, known: Known) -> Recovery:
    """The diagnosis and its plan. Only looks."""
    result = looking.check(setup)
    found = diagnose(result.facts, setup.cluster, known)
    run = next((folder.run for folder, _ in unfinished(setup.home, Mode.LIVE)), "")
    if run:
        found.advice.insert(
            0, f"run {run} is unfinished: ctmupgrade resume {run} goes on with it, or abort it first"
        )
    steps = renumbered(found.steps)
    made = plan_of(steps, result.facts, setup.cluster, setup.request.options, tuple(found.advice))
    return Recovery(found, made, run, result)


def perform(setup: Setup, wishes: Wishes, recovery: Recovery) -> Outcome:
    """Takes the way back, by the same loop and journal as any run.

    :raises LockedError: another run works on this cluster.
    """
    if not recovery.plan.steps:
        code = ExitCode.DONE if not recovery.diagnosis.wrong else ExitCode.NEEDS_OPERATOR
        return Outcome(code, result=recovery.result, why="nothing to do by itself")
    run_id = new_run_id()
    with hold(setup.home, run_id):
        return execute_plan(setup, wishes, recovery.plan, run_id)
