"""``resume``: goes on with a run from its journal."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext

from ctmupgrade import __version__
from ctmupgrade.adapters.disk.journal_file import line_hashes
from ctmupgrade.adapters.disk.run_store import Requests, RunFolder, folders, is_running
from ctmupgrade.commands.choose import LATEST, named
from ctmupgrade.commands.custody import settle
from ctmupgrade.commands.drill import resumed
from ctmupgrade.commands.faults import refuse_unknown_steps
from ctmupgrade.commands.options import known_node, stops_somewhere
from ctmupgrade.commands.run import Outcome, RunOptions, execute
from ctmupgrade.commands.run_marks import Marks
from ctmupgrade.commands.runs import (
    hold,
    locked,
    place_of,
    restore_backups,
    restore_world,
    to_go_on,
    unfinished,
)
from ctmupgrade.commands.same_cluster import (
    learn_of_run,
    own_node_is_last,
    refuse_foreign_plan,
    refuse_missing_archive,
    refuse_other_cluster,
)
from ctmupgrade.commands.same_nodes import refuse_other_appliances
from ctmupgrade.commands.unmarked import is_planned_again, replaced_by
from ctmupgrade.commands.wiring import Setup, whoami
from ctmupgrade.core.modes import Mode
from ctmupgrade.core.run import journal
from ctmupgrade.core.run.again import again_command, recover_command
from ctmupgrade.core.run.journal import Event, RunState
from ctmupgrade.core.run.kinds import RunKind, kind_of
from ctmupgrade.core.run.remaining import steps_left
from ctmupgrade.errors import ExitCode, UsageError


def resume(setup: Setup, wishes: RunOptions, run_id: str | None) -> Outcome:
    """Go on from where a run stopped.

    :param run_id: in full or its unique beginning; None or ``latest``: the latest that changes nodes and is not over.
    :raises UsageError: there is nothing to resume. :raises LockedError: it is running.
    :raises BlockedError: cluster.yaml is no longer the run's, or its plan is none of ours.
    """
    mode = Mode.SIMULATED if setup.request.simulate else Mode.LIVE
    run_id = None if run_id == LATEST else run_id
    with _kept_out(setup, run_id or to_go_on(setup.home, mode)):
        folder = to_resume(setup, mode, run_id)
        with locked(setup, folder):
            return go_on(setup, wishes, folder)


def _kept_out(setup: Setup, run: str) -> AbstractContextManager[object]:
    """Keep others out. A dry run keeps nobody out and makes no file; that another process works there it tells all the same.

    :raises LockedError: one does.
    """
    free = setup.request.dry_run and not is_running(place_of(setup))
    return nullcontext() if free else hold(place_of(setup), run)


def go_on(setup: Setup, wishes: RunOptions, folder: RunFolder) -> Outcome:
    """Go on with a run whose lock is held. :raises LockedError: another machine has taken it over."""
    restore_world(folder, setup)
    with setup.runs.opened(folder.run) as record:
        state = record.state()
    left = Requests(folder, state.plan.nodes, state.asked)
    older = left.stops()  # before anybody is asked: who says pause from here on means this process
    restore_backups(folder, setup, state)
    setup = resumed(setup, state)
    learn_of_run(setup, state)
    refuse_other_cluster(setup.cluster, state)
    refuse_missing_archive(setup, steps_left(state))
    own_node_is_last(setup, state)
    known_node(wishes.stop_after, state.plan.versions, "--stop-after")
    stops_somewhere(wishes.stop_after, state.plan)
    refuse_unknown_steps(wishes.faults, state.plan)
    if setup.request.dry_run or not wishes.confirm_resume(state):
        code = ExitCode.DONE if setup.request.dry_run else ExitCode.PAUSED
        return Outcome(code, state, folder=folder.path, only_looked=True)
    if setup.mode is Mode.LIVE:
        refuse_other_appliances(setup.cluster, setup.fleet, state)
    moved = state.custody.away
    state = settle(setup, state)
    replaced, hashes = replaced_by(setup, state), line_hashes(folder.journal)
    marks = Marks(setup, state.run, (*wishes.take_over, *([replaced.run] if replaced else [])), _again(state))
    refuse_foreign_plan(
        setup.cluster, state, lambda: marks.vouch_for(hashes) or is_planned_again(setup, state)
    )
    marks.refuse_rolled_back(hashes)
    state = _written(setup, wishes, state, journal.RunResumed(whoami(), os.getpid(), __version__))
    for event in left.drop(older):
        state = _written(setup, wishes, state, event)
    _mark(setup, marks, state, replaced)
    if moved:
        marks.rename()
    return execute(setup, wishes, folder, state)


def _again(state: RunState) -> str:
    """What takes over another's dead run instead of this one, which is in the way of a new run until it has ended."""
    if kind_of(state) is RunKind.RECOVER:
        return f"{recover_command(state)} --yes"
    return f"ctmupgrade abort {state.run}; then: {again_command(state)}"


def _mark(setup: Setup, marks: Marks, state: RunState, replaced: RunFolder | None) -> None:
    """Mark the nodes again. A recovery or a restore that was killed meanwhile may not have come to do so, nor to end the run that
    it replaces."""
    marks.claim(again=True)
    if kind_of(state) is RunKind.RECOVER:
        with setup.runs.opened(state.run) as record:
            marks.anchor_all(record.head)
    if replaced is not None:
        ended = journal.RunEnded(
            "taken-over", {}, f"{kind_of(state).value} took its place: {state.run}", state.run
        )
        setup.runs.append(replaced.run, ended, setup.clock.now())


def _written(setup: Setup, wishes: RunOptions, state: RunState, event: Event) -> RunState:
    """Return the state after an event that is in the journal now, and show it."""
    at = setup.clock.now()
    setup.runs.append(state.run, event, at)
    state = journal.apply(state, event, at)
    wishes.watch(state, event, "", None)
    return state


def to_resume(setup: Setup, mode: Mode, run_id: str | None) -> RunFolder:
    """Return the run that is meant, which has not ended.

    :param run_id: in full or its unique beginning; None: the latest that changes nodes and is not over.
    :raises UsageError: there is none.
    """
    if run_id is None:
        for folder, _state in unfinished(setup.home, mode):
            return folder
        raise UsageError(
            f"nothing to resume for {setup.cluster.name}",
            remedy="ctmupgrade runs   # lists all; another state folder: --state-dir DIR or CTMUPGRADE_STATE_DIR",
        )
    folder = named(run_id, folders(setup.home)[::-1])
    state = folder.state()
    refuse_ended(folder, state)
    if state.mode is not mode:
        raise UsageError(
            f"run {folder.run} is {state.mode.value}, and this command is {mode.value}",
            remedy="resume a simulated run with --simulate, a live one without it",
        )
    return folder


def refuse_ended(folder: RunFolder, state: RunState) -> None:
    """Refuse a run that has ended. :raises UsageError: it has."""
    if not state.unfinished:
        raise UsageError(
            f"run {folder.run} has ended ({state.outcome}); there is nothing to resume",
            remedy=f"ctmupgrade report {folder.run}",
        )
