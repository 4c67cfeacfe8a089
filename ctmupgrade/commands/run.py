"""Commands that change nodes: run, resume, stage, backup."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from ctmupgrade import __version__
from ctmupgrade.actions.base import Ctx
from ctmupgrade.adapters.disk.journal_file import JournalFile, line_hashes
from ctmupgrade.adapters.disk.run_store import FileRecord, Requests, RunFolder, folders, state_of
from ctmupgrade.adapters.local import system_log
from ctmupgrade.commands import check, node_marks
from ctmupgrade.commands.check import CheckResult
from ctmupgrade.commands.options import known_node
from ctmupgrade.commands.plan_file import ReviewedPlan, refuse_difference
from ctmupgrade.commands.run_marks import Marks
from ctmupgrade.commands.runs import (
    hold,
    new_run_id,
    nothing_begun,
    restore_backups,
    restore_world,
    save_world,
    staged,
    to_go_on,
    unfinished,
)
from ctmupgrade.commands.same_cluster import learn_of_run, refuse_other_cluster
from ctmupgrade.commands.signals import Interrupted, attended
from ctmupgrade.commands.wiring import Setup, whoami
from ctmupgrade.core.checks.findings import Finding
from ctmupgrade.core.looks.facts import Facts
from ctmupgrade.core.modes import Mode
from ctmupgrade.core.plan.plan import Plan, plan_of
from ctmupgrade.core.plan.steps import MakeBackup, StageArchive, Step, VerifyArchive, changes_node
from ctmupgrade.core.plan.strategies import node_order, preparation
from ctmupgrade.core.run import journal
from ctmupgrade.core.run.data_guard import guard_for
from ctmupgrade.core.run.journal import Event, RunState
from ctmupgrade.core.ticks import Tick
from ctmupgrade.errors import BlockedError, CtmUpgradeError, ExitCode, UsageError
from ctmupgrade.execute import Controls, Executor

Watch = Callable[[RunState, Event | None, str, Tick | None], None]


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a run is to be attended."""

    confirm_plan: Callable[[Plan, CheckResult], bool] = lambda _plan, _result: True
    confirm_step: Callable[[Step], bool] = lambda _step: True
    stop_after: str = ""
    watch: Watch = lambda _state, _event, _key, _tick: None
    reviewed: ReviewedPlan | None = None  # ``--plan FILE``
    take_over: tuple[str, ...] = ()  # others' runs whose marks may be replaced
    command: str = node_marks.RUN  # what takes over a dead run, with --take-over


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended: its exit code, and the run's state where there was a run.

    :ivar left_out: why nodes were left out of ``stage`` or ``backup``.
    :ivar examined: all that their check found; the result has only what stops them. None: it is the result's.
    """

    code: ExitCode
    state: RunState | None = None
    result: CheckResult | None = None
    why: str = ""
    folder: Path | None = None
    left_out: tuple[Finding, ...] = ()
    examined: tuple[Finding, ...] | None = None


def run(setup: Setup, wishes: RunOptions) -> Outcome:
    """Checks, plans, asks, executes.

    :raises LockedError: another run works on this cluster. :raises BlockedError: an unfinished run.
    """
    setup.refuse_recorded()
    known_node(wishes.stop_after, _nodes_of(setup), "--stop-after")
    run_id = new_run_id(setup.home)
    if setup.mode is not Mode.LIVE:
        return _run_locked(setup, wishes, run_id)
    with hold(setup.home, run_id):
        for folder, state in unfinished(setup.home, Mode.LIVE):
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
        state, folder = _begin(setup, wishes, empty, run_id)
        return _end(folder, state, "nothing-to-do", setup, result)
    if result.code is not ExitCode.DONE:
        marks.respect()  # what blocks may be another run that began meanwhile
        return Outcome(result.code, result=result, why="blocked by checks")
    if wishes.reviewed is not None:
        refuse_difference(wishes.reviewed, plan)
    if setup.mode is Mode.DRY_RUN:
        state, folder = _begin(setup, wishes, plan, run_id)
        return _end(folder, state, "dry-run", setup, result)
    if not wishes.confirm_plan(plan, result):
        return Outcome(ExitCode.PAUSED, result=result, why="not confirmed; nothing was changed")
    return replace(execute_plan(setup, wishes, plan, run_id), result=result)


def execute_plan(
    setup: Setup,
    wishes: RunOptions,
    plan: Plan,
    run_id: str,
    *,
    spared: Collection[str] = (),
    marked: Callable[[], None] = lambda: None,
) -> Outcome:
    """Begins the journal, marks the nodes, and runs a plan. The cluster's lock must be held.

    The journal comes first: a mark whose run no journal knows would stop everybody, us too.

    :param spared: nodes that may be away. :param marked: called when the nodes are ours, before anything is done.
    :raises LockedError: another operator's run works on these nodes.
    """
    state, folder = _begin(setup, wishes, plan, run_id)
    try:
        Marks(setup, run_id, wishes.take_over, wishes.command).claim(spared=spared)
    except CtmUpgradeError as error:
        _write_end(
            folder, journal.RunEnded("aborted", plan.versions, f"nothing was changed: {error.brief}"), setup
        )
        raise
    marked()
    return _execute(setup, wishes, folder, state)


def _begin(setup: Setup, wishes: RunOptions, plan: Plan, run_id: str) -> tuple[RunState, RunFolder]:
    """The run's folder and the first line of its journal, which tells the mode."""
    folder = RunFolder(setup.home / run_id)
    event = journal.RunStarted(
        run_id, setup.cluster.name, setup.mode, plan, whoami(), os.getpid(), __version__,
        setup.request.options.skips,
    )  # fmt: skip
    at = setup.clock.now()
    with nothing_begun(setup.home):
        file = JournalFile.create(folder.journal)
        FileRecord(file).append(event, at)
        file.close()
    state = journal.start(event, at)
    wishes.watch(state, event, "", None)
    return state, folder


def _end(folder: RunFolder, state: RunState, outcome: str, setup: Setup, result: CheckResult) -> Outcome:
    ended = journal.RunEnded("dry-run" if outcome == "dry-run" else "nothing-to-do", state.plan.versions)
    state = journal.apply(state, ended, _write_end(folder, ended, setup))
    return Outcome(ExitCode.DONE, state, result, folder=folder.path)


def _write_end(folder: RunFolder, ended: journal.RunEnded, setup: Setup) -> datetime:
    """The last line of a journal that nobody holds open, and its time."""
    at = setup.clock.now()
    file = JournalFile.open(folder.journal)
    FileRecord(file).append(ended, at)
    file.close()
    return at


def _execute(setup: Setup, wishes: RunOptions, folder: RunFolder, state: RunState) -> Outcome:
    file = JournalFile.open(folder.journal, durable=setup.mode is not Mode.SIMULATED)
    record, left, marks = FileRecord(file), Requests(folder, state.plan.nodes), Marks(setup, state.run)
    with attended() as news:
        executor = Executor(
            Ctx(
                setup.cluster, state.plan, state.run, setup.fleet, setup.verifier, setup.clock, setup.gather,
                setup.store, setup.prefix_hash, setup.rest_hash, staged=staged(setup.home, setup.mode),
                anchor=lambda step: marks.anchor(step.node, record.head) if changes_node(step.action) else None,
            ),
            state,
            record,
            setup.tasks(),
            Controls(
                requests=lambda: [*news(), *left.look()],
                confirm=wishes.confirm_step,
                stop_after=wishes.stop_after,
                watch=wishes.watch,
                guard=guard_for(setup.cluster, state.plan),
                leave=marks.release,
            ),
        )  # fmt: skip
        try:
            code = executor.run()
        except Interrupted:
            raise Interrupted(
                f"left run {state.run}; what the appliances are doing goes on\n"
                f"  -> ctmupgrade status {state.run}   # where it stands\n  -> ctmupgrade resume {state.run}"
            ) from None
    file.close()
    if executor.state.unfinished:
        save_world(folder, setup)
    if setup.mode is Mode.LIVE:
        system_log.tell(executor.state, record.head)
    return Outcome(code, executor.state, why=executor.state.paused, folder=folder.path)


def resume(setup: Setup, wishes: RunOptions, run_id: str | None) -> Outcome:
    """Goes on from where a run stopped.

    :raises UsageError: there is nothing to resume. :raises LockedError: it is running.
    :raises BlockedError: cluster.yaml is no longer the run's.
    """
    mode = Mode.SIMULATED if setup.request.simulate else Mode.LIVE
    with hold(setup.home, run_id or to_go_on(setup.home, mode)):
        folder = _to_resume(setup, mode, run_id)
        restore_world(folder, setup)
        file = JournalFile.open(folder.journal)
        state = state_of(file.lines())
        restore_backups(folder, setup, state)
        learn_of_run(setup, state)
        refuse_other_cluster(setup.cluster, state)
        known_node(wishes.stop_after, state.plan.versions, "--stop-after")
        if setup.request.dry_run:
            file.close()
            return Outcome(ExitCode.DONE, state, folder=folder.path)
        Marks(setup, state.run).refuse_rolled_back(line_hashes(folder.journal))
        event = journal.RunResumed(whoami(), os.getpid(), __version__)
        at = setup.clock.now()
        FileRecord(file).append(event, at)
        file.close()
        state = journal.apply(state, event, at)
        wishes.watch(state, event, "", None)
        Marks(setup, state.run, wishes.take_over).claim(again=True)
        return _execute(setup, wishes, folder, state)


def _to_resume(setup: Setup, mode: Mode, run_id: str | None) -> RunFolder:
    if run_id is not None:
        named = [f for f in folders(setup.home) if f.run == run_id]
        if not named:
            raise UsageError(f"no run {run_id} in {setup.home}", remedy="ctmupgrade status")
        if not named[0].state().unfinished:
            raise UsageError(f"run {run_id} has ended; there is nothing to resume", remedy="ctmupgrade run")
        return named[0]
    for folder, _state in unfinished(setup.home, mode):
        return folder
    raise UsageError(f"nothing to resume for {setup.cluster.name}", remedy="ctmupgrade run")


def prepare_only(setup: Setup, wishes: RunOptions, kind: type[StageArchive] | type[MakeBackup]) -> Outcome:
    """``stage`` or ``backup``: that part of the plan alone, by the same loop and journal.

    A node that cannot be prepared is left out and holds no other one up; the exit code tells of it.
    """
    setup.refuse_recorded()
    run_id = new_run_id(setup.home)
    if setup.mode is Mode.DRY_RUN:
        return _prepare(setup, wishes, kind, run_id)
    with hold(setup.home, run_id):  # before any look: a node that the other run reboots is no finding
        return _prepare(setup, wishes, kind, run_id)


def _prepare(
    setup: Setup, wishes: RunOptions, kind: type[StageArchive] | type[MakeBackup], run_id: str
) -> Outcome:
    result = check.check(setup)
    wanted = node_order(setup.cluster, setup.request.options)
    needed = {"archive_signature_good", "node_reachable", "control_plane_reachable", "free_space_sufficient"}
    stops = tuple(
        f for f in result.findings if f.stops and f.check in needed and (not f.node or f.node in wanted)
    )
    out = {f.node for f in stops}
    names = tuple(name for name in wanted if name not in out)
    narrowed = CheckResult(result.facts, stops)
    if "" in out or not names:
        return Outcome(narrowed.code, result=narrowed, why="blocked by checks", examined=result.findings)
    state, folder = _begin(setup, wishes, _plan_to_prepare(setup, result.facts, kind, names), run_id)
    if setup.mode is Mode.DRY_RUN:
        ended = _end(folder, state, "dry-run", setup, result)
    else:
        ended = replace(_execute(setup, wishes, folder, state), result=result)
    return replace(ended, code=ended.code or narrowed.code, left_out=stops, examined=result.findings)


def _plan_to_prepare(
    setup: Setup, facts: Facts, kind: type[StageArchive] | type[MakeBackup], names: tuple[str, ...]
) -> Plan:
    steps = [
        replace(step, after=tuple(a for a in step.after if kind is StageArchive))
        for step in preparation(facts, replace(setup.request.options, skips=()), names)
        if isinstance(step.action, kind) or (kind is StageArchive and isinstance(step.action, VerifyArchive))
    ]
    return plan_of(tuple(steps), facts, setup.cluster, setup.request.options, ())


__all__ = ["CtmUpgradeError", "Interrupted", "Outcome", "RunOptions", "prepare_only", "resume", "run"]
