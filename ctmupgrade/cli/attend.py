"""How a run is attended on the command line: the question before it, and what is shown while it goes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from ctmupgrade.cli.options import Common, Format
from ctmupgrade.cli.output import put_json
from ctmupgrade.commands.run import Outcome, RunOptions
from ctmupgrade.core.plan.steps import Step
from ctmupgrade.errors import ExitCode, UsageError
from ctmupgrade.render import plain, show
from ctmupgrade.render.streams import OutputError, give_up_output, need_no_reader

if TYPE_CHECKING:
    from ctmupgrade.commands.check import CheckResult
    from ctmupgrade.commands.plan_file import ReviewedPlan
    from ctmupgrade.commands.wiring import Setup
    from ctmupgrade.core.plan.plan import Plan


@contextmanager
def wishes(
    common: Common,
    made: Setup,
    *,
    reviewed: ReviewedPlan | None = None,
    stop_after: str = "",
    confirm_each: bool = False,
    take_over: str = "",
    command: str = "ctmupgrade run",
) -> Iterator[RunOptions]:
    """What the loop needs of the terminal, for the time of a run."""
    with show.watching(common.shown, made.cluster) as watch:

        def confirm_plan(planned: Plan, result: CheckResult) -> bool:
            lines = [*plain.finding_lines(result.findings), *plain.question(planned, len(made.cluster.nodes))]
            for line in lines:
                typer.echo(line, err=common.shown is Format.JSON)
            return common.yes or made.mode.value == "SIMULATED" or _asked("Go on?")

        def confirm_step(step: Step) -> bool:
            return not confirm_each or _asked(f"Upgrade {step.node} now?")

        taken = (take_over,) if take_over else ()
        yield RunOptions(confirm_plan, confirm_step, stop_after, watch, reviewed, taken, command)


def finish(common: Common, made: Setup, outcome: Outcome) -> int:
    """The end of a run: its report as the last line, or why there was none. The exit code is the run's, also
    where nobody takes the report any more."""
    try:
        _tell(common, made, outcome)
    except OutputError as error:
        give_up_output(error)
    need_no_reader()
    return outcome.code


def _tell(common: Common, made: Setup, outcome: Outcome) -> None:
    from ctmupgrade.commands.status import head_of
    from ctmupgrade.core.run.report import make_report
    from ctmupgrade.render import documents, show

    if outcome.state is not None:
        report = make_report(outcome.state, head_of(outcome.folder))
        if common.shown is Format.JSON:
            left_out = [documents.finding_document(f) for f in outcome.left_out]
            put_json(
                documents.report_document(report) | ({"left_out": left_out} if left_out else {}), lines=True
            )
        else:
            show.report(report, common.shown)
            if outcome.left_out:
                typer.echo("left out:")
                show.findings(outcome.left_out, common.shown, verbose=common.verbose, of=outcome.examined)
            if outcome.state.unfinished:
                typer.echo(f"to go on: ctmupgrade resume {outcome.state.run}")
    elif outcome.result is not None and outcome.result.code is not ExitCode.DONE:
        result = outcome.result
        if common.shown is Format.JSON:
            document = documents.blocked_document(
                made.cluster, made.mode, result.facts, result.findings, outcome.code
            )
            put_json(document, lines=True)
        else:
            show.findings(result.findings, common.shown, verbose=common.verbose, of=outcome.examined)
            typer.echo("nothing was changed")
    else:
        typer.echo(outcome.why or "nothing was changed", err=common.shown is Format.JSON)


def _asked(question: str) -> bool:
    if not sys.stdin.isatty():
        raise UsageError("a question must be answered and there is no terminal", remedy="--yes answers it")
    return typer.confirm(question, default=False)
