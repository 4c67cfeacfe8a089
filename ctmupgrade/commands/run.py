"""Commands that change nodes: run, resume, stage, backup."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from ctmupgrade import __version__
from ctmupgrade.actions.base import Ctx
from ctmupgrade.adapters.disk.run_store import Requests, RunFolder
from ctmupgrade.adapters.local import system_log
from ctmupgrade.collect.seen import look_before
from ctmupgrade.commands import check, node_marks
from ctmupgrade.commands.check import CheckResult
from ctmupgrade.commands.escape_file import escape_of
from ctmupgrade.commands.faults import PlannedFault, refuse_unknown_steps, struck_by
from ctmupgrade.commands.kept_progress import KeptProgress
from ctmupgrade.commands.kept_world import kept_beside
from ctmupgrade.commands.options import known_node, stops_somewhere
from ctmupgrade.commands.plan_file import ReviewedPlan, refuse_difference
from ctmupgrade.commands.restore_memory import journals_for, note_proofs, remembered
from ctmupgrade.commands.run_marks import Marks
from ctmupgrade.commands.runs import (
    hold_cluster,
    locked,
    new_run_id,
    nothing_begun,
    save_world,
    staged,
    unfinished,
)
from ctmupgrade.commands.signals import attended
from ctmupgrade.commands.wiring import Setup, whoami
from ctmupgrade.core.checks.findings import Finding
from ctmupgrade.core.looks.facts import Facts
from ctmupgrade.core.looks.holding import Journals
from ctmupgrade.core.modes import Mode, StrategyName
from ctmupgrade.core.plan.plan import Plan
from ctmupgrade.core.plan.steps import Step, changes_node
from ctmupgrade.core.plan.strategies import node_order
from ctmupgrade.core.plan.windows import WindowFit, window_fit
from ctmupgrade.core.run import journal
from ctmupgrade.core.run.data_guard import guard_for
from ctmupgrade.core.run.journal import Event, RunState
from ctmupgrade.core.run.kinds import RunKind, kind_of
from ctmupgrade.core.run.operator_input import OperatorInput
from ctmupgrade.core.run.restore_order import restores
from ctmupgrade.core.run.surroundings import surroundings_of
from ctmupgrade.core.ticks import Tick
from ctmupgrade.errors import BlockedError, CtmUpgradeError, ExitCode, Interrupted
from ctmupgrade.execute import Controls, Executor
from ctmupgrade.ports import Journal, Programs

Watch = Callable[[RunState, Event | None, str, Tick | None], None]


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a run is to be attended."""

    confirm_plan: Callable[[Plan, CheckResult], bool] = lambda _plan, _result: True
    confirm_step: Callable[[Plan, Step], bool] = lambda _plan, _step: True
    stop_after: str = ""
    watch: Watch = lambda _state, _event, _key, _tick: None
    reviewed: ReviewedPlan | None = None  # ``--plan FILE``
    take_over: tuple[str, ...] = ()  # others' runs whose marks may be replaced
    command: str = node_marks.RUN  # what takes over a dead run, with --take-over
    what: RunKind | None = None  # None: the strategy tells it
    known: OperatorInput = field(default_factory=OperatorInput)  # what a person says of a broken cluster
    confirm_resume: Callable[[RunState], bool] = lambda _state: True
    accept_partial: Callable[[WindowFit], bool] = lambda _fit: (
        True
    )  # may raise BlockedError: nobody can be asked
    wait_for_window: bool = False
    faults: tuple[PlannedFault, ...] = ()  # of a rehearsal
    refused: Callable[[CheckResult], None] = lambda _result: None  # the checks do not let it begin
    tell: Callable[[Plan], None] = lambda _plan: None  # of a plan that is not asked about, before it begins


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended: its exit code, and the run's state where there was a run.

    :ivar left_out: why nodes were left out of ``stage`` or ``backup``.
    :ivar examined: all that their check found; the result has only what stops them. None: it is the result's.
    :ivar only_looked: the run of ``state`` was looked at, and nothing was done.
    """

    code: ExitCode
    state: RunState | None = None
    result: CheckResult | None = None
    why: str = ""
    folder: Path | None = None
    left_out: tuple[Finding, ...] = ()
    examined: tuple[Finding, ...] | None = None
    only_looked: bool = False


def run(setup: Setup, wishes: RunOptions) -> Outcome:
    """Check, plan, ask, execute.

    :raises LockedError: another run works on this cluster. :raises BlockedError: an unfinished run.
    """
    known_node(wishes.stop_after, _nodes_of(setup), "--stop-after")
    run_id = new_run_id(setup.home)
    with hold_cluster(setup, run_id):
        for folder, state in unfinished(setup.home, Mode.LIVE) if setup.mode is Mode.LIVE else ():
            if state.custody.away:
                continue  # the marks on the nodes say whether it still goes on
            raise BlockedError(
                f"run {folder.run} of {setup.cluster.name} is unfinished ({state.name})",
                remedy=f"ctmupgrade resume {folder.run}   or   ctmupgrade abort {folder.run}",
            )
        return _run_locked(setup, wishes, run_id)


def _nodes_of(setup: Setup) -> tuple[str, ...]:
    return (*node_order(setup.cluster, setup.request.options), *(node.name for node in setup.cluster.fresh))


def _run_locked(setup: Setup, wishes: RunOptions, run_id: str) -> Outcome:
    marks = Marks(setup, run_id, wishes.take_over)
    marks.respect()
    result, plan = check.plan(setup)
    if check.all_at_target(result, setup, setup.request.options):
        empty = replace(plan, steps=())
        state, folder = begin(setup, wishes, empty, run_id, result.findings)
        return end(folder, state, "nothing-to-do", setup, result)
    if result.code is not ExitCode.DONE:
        marks.respect()  # what blocks may be another run that began meanwhile
        if setup.mode is Mode.LIVE:
            wishes.refused(result)
        return Outcome(result.code, result=result, why="blocked by checks")
    if wishes.reviewed is not None:
        refuse_difference(wishes.reviewed, plan)
    refuse_unknown_steps(wishes.faults, plan)
    stops_somewhere(wishes.stop_after, plan)
    if setup.mode is Mode.DRY_RUN:
        state, folder = begin(setup, wishes, plan, run_id, result.findings)
        return end(folder, state, "dry-run", setup, result)
    if not wishes.confirm_plan(plan, result) or not _partial_is_wanted(setup, wishes, plan):
        return Outcome(ExitCode.PAUSED, result=result, why="not confirmed; nothing was changed")
    outcome = execute_plan(setup, wishes, plan, run_id, facts=result.facts, checked=result.findings)
    return replace(outcome, result=result)


def _partial_is_wanted(setup: Setup, wishes: RunOptions, plan: Plan) -> bool:
    """Whether the run may begin although not all nodes fit into the window; asked before anything is done.

    :raises BlockedError: nobody can be asked.
    """
    fit = window_fit(setup.cluster.window, plan.steps, plan.strategy, setup.clock.now())
    return fit is None or not fit.partial or wishes.accept_partial(fit)


def execute_plan(
    setup: Setup,
    wishes: RunOptions,
    plan: Plan,
    run_id: str,
    *,
    spared: Collection[str] = (),
    marked: Callable[[], None] = lambda: None,
    facts: Facts | None = None,
    checked: Sequence[Finding] = (),
) -> Outcome:
    """Begin the journal, mark the nodes, and run a plan. The cluster's lock must be held.

    The journal comes first: a mark whose run no journal knows would stop everybody, us too.

    :param spared: nodes that may be away. :param marked: called when the nodes are ours, before anything is done.
    :param facts: what the check before it found: what the cluster is compared with afterwards; None: it is not.
    :raises LockedError: another operator's run works on these nodes.
    """
    state, folder = begin(setup, wishes, plan, run_id, checked)
    marks = Marks(setup, run_id, wishes.take_over, wishes.command)
    try:
        marks.claim(spared=spared)
    except CtmUpgradeError as error:
        _write_end(
            folder, journal.RunEnded("aborted", plan.versions, f"nothing was changed: {error.brief}"), setup
        )
        raise
    with setup.runs.opened(run_id) as record:
        marks.anchor_all(record.head)
    marked()
    for event in [] if facts is None else look_before(setup.cluster, facts):
        at = setup.clock.now()
        setup.runs.append(run_id, event, at)
        state = journal.apply(state, event, at)
    with locked(setup, folder):
        return execute(setup, wishes, folder, state)


def begin(
    setup: Setup, wishes: RunOptions, plan: Plan, run_id: str, checked: Sequence[Finding] = ()
) -> tuple[RunState, RunFolder]:
    """Return the run's folder and the first line of its journal, which tells the mode.

    :param checked: what the checks found.
    """
    folder = RunFolder(setup.home / run_id)
    event = journal.RunStarted(
        run_id, setup.cluster.name, setup.mode, plan, whoami(), os.getpid(), __version__,
        setup.request.options.skips, what=_what(setup, wishes).value, files=_files(setup),
        surroundings=surroundings_of(setup.cluster, checked, wishes.known),
    )  # fmt: skip
    if setup.world is not None and setup.mode is Mode.SIMULATED:
        setup.world.begin({(step.node, step.action.kind): step.estimate_s for step in plan.steps})
    at = setup.clock.now()
    with nothing_begun(setup.home):
        setup.runs.begin(run_id, event, at)
        if setup.keeps_world:
            save_world(folder, setup)
    state = journal.start(event, at)
    wishes.watch(state, event, "", None)
    return state, folder


def _what(setup: Setup, wishes: RunOptions) -> RunKind:
    if setup.mode is Mode.DRY_RUN:
        return RunKind.DRY_RUN
    rebuild = setup.cluster.strategy is StrategyName.REBUILD
    return wishes.what or (RunKind.REBUILD if rebuild else RunKind.UPGRADE)


def _files(setup: Setup) -> dict[str, str]:
    """Where the cluster's files are, and the strategy that was typed, so that what is printed later works from any folder."""
    request = setup.request
    typed = {} if request.strategy is None else {"strategy": request.strategy.value}
    if request.simulate is not None:
        return {"simulate": str(request.simulate.absolute()), **typed}
    return {"cluster": str(request.cluster.absolute()), **typed}


def end(folder: RunFolder, state: RunState, outcome: str, setup: Setup, result: CheckResult) -> Outcome:
    """Write the end of a run that has nothing to do or is a rehearsal; return how it ended."""
    ended = journal.RunEnded("dry-run" if outcome == "dry-run" else "nothing-to-do", state.plan.versions)
    state = journal.apply(state, ended, _write_end(folder, ended, setup))
    return Outcome(ExitCode.DONE, state, result, folder=folder.path)


def _write_end(folder: RunFolder, ended: journal.RunEnded, setup: Setup) -> datetime:
    """The last line of a journal that nobody holds open, and its time."""
    at = setup.clock.now()
    setup.runs.append(folder.run, ended, at)
    return at


def execute(setup: Setup, wishes: RunOptions, folder: RunFolder, state: RunState) -> Outcome:
    """Run a plan from where its journal stands; return how this process's part of it ended.

    :raises Interrupted: this process was told to leave at once.
    """
    with setup.runs.opened(folder.run) as record, attended() as news:
        kept = kept_beside(record, folder, setup)
        executor = _executor(setup, wishes, folder, state, kept, news)
        try:
            code = executor.run()
        except Interrupted:
            save_world(folder, setup)
            raise Interrupted(
                f"left run {state.run}; what the appliances are doing goes on",
                f"ctmupgrade status {state.run}   # where it stands\nctmupgrade resume {state.run}",
            ) from None
    note_proofs(setup, executor.state)
    if executor.state.unfinished:
        save_world(folder, setup)
    if setup.mode is Mode.LIVE:
        system_log.tell(executor.state, record.head)
    return Outcome(code, executor.state, why=executor.state.paused, folder=folder.path)


def _executor(
    setup: Setup,
    wishes: RunOptions,
    folder: RunFolder,
    state: RunState,
    record: Journal,
    news: Callable[[], list[Event]],
) -> Executor:
    """The loop with its tools. :param news: tells what a signal has asked for."""
    left, marks = Requests(folder, state.plan.nodes, state.asked), Marks(setup, state.run)
    restoring = any(restores(state.plan))
    escape = escape_of(folder.path, setup.request, lambda: setup.cluster)
    escape.write(state)
    ctx = Ctx(
        setup.cluster, state.plan, state.run, setup.tools, staged=staged(setup.home, setup.mode),
        anchor=lambda step: marks.anchor(step.node, record.head) if changes_node(step.action) else None,
        journals=journals_for(setup, state.run) if restoring else Journals(),
        remembered=remembered(setup, state.run) if restoring else {},
    )  # fmt: skip
    controls = Controls(
        requests=lambda: [*news(), *left.look()],
        confirm=lambda step: wishes.confirm_step(state.plan, step),
        stop_after=wishes.stop_after,
        watch=escape.before(
            struck_by(
                wishes.faults,
                setup,
                KeptProgress(folder, setup.clock.now, setup.cluster.window, _clearing(left, wishes.watch)),
            )
        ),
        guard=guard_for(setup.cluster, state.plan),
        leave=marks.release,
        programs=_programs(setup, state),
        accept_partial=wishes.accept_partial,
        wait_for_window=wishes.wait_for_window,
    )
    return Executor(ctx, state, record, setup.tools.tasks(), controls)


def _clearing(left: Requests, watch: Watch) -> Watch:
    def cleared(state: RunState, event: Event | None, key: str, tick: Tick | None) -> None:
        left.journaled(event)
        watch(state, event, key, tick)

    return cleared


def _programs(setup: Setup, state: RunState) -> Programs | None:
    """What runs the operator's hooks and checks: those of an upgrade alone, and never in a simulation. What makes backups,
    uploads or repairs is not what they were written for."""
    live = setup.mode is Mode.LIVE and kind_of(state) in (RunKind.UPGRADE, RunKind.REBUILD)
    return setup.programs if live else None


__all__ = [
    "CtmUpgradeError", "Interrupted", "Outcome", "RunOptions", "begin", "end", "execute", "run",
]  # fmt: skip
