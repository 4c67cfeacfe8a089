"""How a run is attended on the command line: the question before it, and what is shown while it goes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

import typer

from ctmupgrade.cli.given import Common, Format
from ctmupgrade.cli.left import told_where_it_stands
from ctmupgrade.cli.notices import notices, tell
from ctmupgrade.cli.output import fold, put_json
from ctmupgrade.cli.own_shell import last_words
from ctmupgrade.cli.place import placed, placed_findings, placed_plan, placed_report
from ctmupgrade.cli.progress import progress
from ctmupgrade.cli.questions import AS_IT_IS, NOTHING, ask, at_terminal, need_terminal
from ctmupgrade.cli.window import PartialConsent, lines_of
from ctmupgrade.commands.run import Outcome, RunOptions
from ctmupgrade.commands.signals import leaving
from ctmupgrade.core.modes import Mode
from ctmupgrade.core.overview.activity import Doing
from ctmupgrade.core.overview.overview import make_overview
from ctmupgrade.core.plan.step_words import node_question
from ctmupgrade.core.plan.steps import Step
from ctmupgrade.core.run.journal import Event, RunState
from ctmupgrade.core.run.remaining import clients_still_notice, what_is_left
from ctmupgrade.core.ticks import Tick
from ctmupgrade.errors import ExitCode
from ctmupgrade.render import documents, plain, show
from ctmupgrade.render.overview_words import health_words
from ctmupgrade.render.status import took_of
from ctmupgrade.render.streams import OutputError, give_up_output, need_no_reader, unheard

if TYPE_CHECKING:
    from ctmupgrade.cli.progress import Working
    from ctmupgrade.commands.check import CheckResult
    from ctmupgrade.commands.faults import PlannedFault
    from ctmupgrade.commands.notices import Notices
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
    accept_partial: bool = False,
    wait_for_window: bool = False,
    faults: tuple[PlannedFault, ...] = (),
) -> Iterator[RunOptions]:
    """Give what the loop needs of the terminal, for the time of a run.

    :raises UsageError: ``confirm_each``, and nobody can be asked.
    """
    json = common.shown is Format.JSON
    if confirm_each:
        need_terminal("--confirm-each")
    last: list[RunState] = []
    with _attending(common, made, last) as (told, looking, watch):

        def confirm_plan(planned: Plan, result: CheckResult) -> bool:
            looking.stop()
            for line in fold(common, _about(common, made, planned, result)):
                typer.echo(line, err=json)
            rehearsed = made.mode is Mode.SIMULATED and not sys.stdin.isatty()  # nobody is there
            return common.yes or rehearsed or ask("Go on?", no=NOTHING, json=json)

        def confirm_step(planned: Plan, step: Step) -> bool:
            if not confirm_each:
                return True
            with watch.aside(), leaving():  # the board would hide the question
                return _ask_for(common, made, planned, step)

        def confirm_resume(state: RunState) -> bool:
            looking.stop()
            return _goes_on(common, state)

        def seen(state: RunState, event: Event | None, key: str, tick: Tick | None) -> None:
            looking.stop()
            last[:] = [state]
            watch(state, event, key, tick)
            tell(told, state, event, watch.aside)
            if lines := last_words(common, made.cluster, made.home, state, event):
                with watch.aside(), unheard():
                    typer.echo("\n".join(lines), err=json)

        yield RunOptions(
            confirm_plan,
            confirm_step,
            stop_after,
            seen,
            reviewed,
            (take_over,) if take_over else (),
            command,
            confirm_resume=confirm_resume,
            accept_partial=PartialConsent(common, watch.aside, accept_partial or bool(stop_after)),
            wait_for_window=wait_for_window,
            faults=faults,
            refused=lambda result: told.refused(
                result.code, plain.stop_lines(result.findings, made.cluster.nodes)
            ),
            tell=_teller(common, looking.stop),
        )


def _goes_on(common: Common, state: RunState) -> bool:
    """Say what is left of a run and what clients will notice; ask whether to go on where somebody can be asked."""
    for line in fold(common, [*what_is_left(state), *clients_still_notice(state)]):
        typer.echo(line, err=common.shown is Format.JSON)
    return common.yes or not at_terminal(common) or ask("Go on with it?", no=AS_IT_IS)


def _teller(common: Common, ready: Callable[[], None]) -> Callable[[Plan], None]:
    """What says of a plan that is not asked about what clients notice. :param ready: ends what is drawn meanwhile."""

    def tell(planned: Plan) -> None:
        ready()
        for line in fold(common, plain.client_lines(planned)):
            typer.echo(line, err=common.shown is Format.JSON)

    return tell


def _ask_for(common: Common, made: Setup, planned: Plan, step: Step) -> bool:
    """Ask whether a node shall be upgraded; what was typed at the board is no answer."""
    said = node_question(planned, step, made.cluster.stable_for)
    lines = fold(common, [placed(line, common) for line in said])
    return ask(f"Upgrade {step.node} now?", lines, json=common.shown is Format.JSON, fresh=True)


@contextmanager
def _attending(
    common: Common, made: Setup, last: list[RunState]
) -> Iterator[tuple[Notices, Working, show.Watch]]:
    """The notices are the last to end but one: the board is gone by then, and what they say stands below it. Behind them
    whoever left is told where the run of ``last`` stands."""
    with (
        told_where_it_stands(last),
        notices(common, made) as told,
        progress(common, made) as looking,
        _watching(common, made) as watch,
    ):
        yield told, looking, watch


def _watching(common: Common, made: Setup) -> AbstractContextManager[show.Watch]:
    return show.watching(common.shown, made.clock.now, made.cluster.window)


def _about(common: Common, made: Setup, planned: Plan, result: CheckResult) -> list[str]:
    """What is said before a run is asked for: what the checks found, and what is about to change."""
    return [
        *(
            plain.finding_lines(placed_findings(result.findings, common), nodes=made.cluster.nodes)
            if result.findings
            else ()
        ),
        *plain.question(placed_plan(planned, common), len(made.cluster.nodes)),
        *lines_of(planned, made),
    ]


def finish(common: Common, made: Setup, outcome: Outcome) -> int:
    """Return the end of a run: its report as the last line, or why there was none. The exit code is the run's, also
    where nobody takes the report any more."""
    with told_where_it_stands([outcome.state] if outcome.state else []):
        try:
            _tell(common, made, outcome)
        except OutputError as error:
            give_up_output(error)
        need_no_reader()
    return outcome.code


def _tell(common: Common, made: Setup, outcome: Outcome) -> None:
    if outcome.state is not None:
        _tell_run(common, made, outcome, outcome.state)
    elif outcome.result is not None and outcome.result.code is not ExitCode.DONE:
        result = outcome.result
        found = placed_findings(result.findings, common)
        if common.shown is Format.JSON:
            document = documents.blocked_document(made.cluster, made.mode, result.facts, found, outcome.code)
            put_json(document, lines=True)
        else:
            show.findings(
                found, common.shown, made.cluster.nodes, verbose=common.verbose, of=outcome.examined
            )
            typer.echo("nothing was changed")
    else:
        typer.echo(outcome.why or "nothing was changed", err=common.shown is Format.JSON)


def _tell_run(common: Common, made: Setup, outcome: Outcome, state: RunState) -> None:
    from ctmupgrade.commands.status import head_of
    from ctmupgrade.core.run.report import make_report

    report = placed_report(make_report(state, head_of(outcome.folder)), common)
    if common.shown is Format.JSON:
        left_out = [documents.finding_document(f) for f in placed_findings(outcome.left_out, common)]
        more = {"left_out": left_out} if left_out else {}
        put_json(documents.report_document(report) | more, lines=True)
        return
    if state.outcome == "dry-run":
        _tell_rehearsed(common, made, outcome, state)
    told = show.told_as_it_went(common.shown) and not outcome.only_looked
    view = make_overview(state, Doing(), state.at, alive=False)
    show.report(report, common.shown, told=told, took=took_of(view.rows))
    if state.unfinished:  # whoever reads that a step failed asks first whether clients are served
        for line in fold(common, [f"  the cluster: {'; '.join(health_words(view))}"]):
            typer.echo(line)
    if outcome.left_out:
        typer.echo("left out:")
        show.findings(
            placed_findings(outcome.left_out, common),
            common.shown,
            made.cluster.nodes,
            verbose=common.verbose,
            of=outcome.examined,
        )
    if outcome.only_looked:
        for line in fold(common, what_is_left(state)):
            typer.echo(f"  {line}")
        typer.echo("nothing was changed")
    if state.unfinished and not any(step.remedy for step in report.steps):  # each remedy ends in how to go on
        typer.echo(placed(f"to go on: ctmupgrade resume {state.run}", common))


def _tell_rehearsed(common: Common, made: Setup, outcome: Outcome, state: RunState) -> None:
    """A dry run: what was found, and what would be done."""
    if outcome.result is not None and outcome.result.findings:
        show.findings(
            placed_findings(outcome.result.findings, common),
            common.shown,
            made.cluster.nodes,
            verbose=common.verbose,
            of=outcome.examined,
        )
    show.plan(placed_plan(state.plan, common), common.shown)
