"""Commands about runs that are going on or over: status, report, pause, abort, node decisions."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from ctmupgrade.adapters.disk.run_store import FileRuns, RunFolder, ask_running, lock_place
from ctmupgrade.commands.choose import find, not_over
from ctmupgrade.commands.options import nodes_known
from ctmupgrade.commands.request import CommandRequest
from ctmupgrade.commands.runs import hold
from ctmupgrade.commands.status import state
from ctmupgrade.commands.wiring import state_dir, whoami
from ctmupgrade.core.modes import Mode
from ctmupgrade.core.run import journal
from ctmupgrade.core.run.again import again_command
from ctmupgrade.core.run.decisions import Decision, Meaning, builds_the_cluster, meaning_lines, meaning_of
from ctmupgrade.core.run.journal import Event, RunState
from ctmupgrade.core.run.kinds import kind_of
from ctmupgrade.core.run.left_running import scripts_left
from ctmupgrade.core.run.programs import not_put_back
from ctmupgrade.core.run.remaining import versions
from ctmupgrade.core.run.report import node_state, pending_reboots
from ctmupgrade.errors import (
    CtmUpgradeError,
    ExitCode,
    ForeignStateError,
    JournalError,
    LockedError,
    UsageError,
)


def ask_stop(
    request: CommandRequest,
    cluster: str | None,
    run: str | None,
    what: Literal["pause", "abort"],
    confirm: Callable[[RunState], bool] = lambda _state: True,
) -> Said:
    """Ask the running process to stop after the step in hand; end an abandoned run at once.

    :param confirm: asked before a run is ended for good.
    :returns: what was done, in words. :raises UsageError: the run has ended already.
    :raises NotConfirmedError: ``confirm`` said no.
    """
    try:
        folder, found, running = state(request, cluster, run, going=True)
    except ForeignStateError:
        raise
    except JournalError as broken:
        if what == "pause" or run is None:
            raise
        return Said((*_set_aside(request, cluster, run, broken).splitlines(),))
    if not found.unfinished:
        raise UsageError(
            f"run {folder.run} has ended already ({found.name})", remedy="ctmupgrade runs   # lists all"
        )
    if what == "abort" and not confirm(found):
        raise NotConfirmedError("not confirmed; the run is as it was")
    asked = journal.StopAsked(what, whoami())
    if running:
        _leave(folder, what, asked)
        when = "it stops when the step in hand is done"
        return Said(
            (f"{what} of {folder.run} is pending: {when} (ctmupgrade status {folder.run})",), found.files
        )
    if what == "pause":
        said = f"{folder.run} is not running; nothing to pause (ctmupgrade resume {folder.run} goes on)"
        return Said((said,), found.files)
    _write(
        folder, lambda _held: [asked, journal.RunEnded("aborted", {}, "as asked, while it was not running")]
    )
    return Said(_aborted(folder.state()), found.files)


def _aborted(ended: RunState) -> tuple[str, ...]:
    what_it_is = f"run {ended.run}, {kind_of(ended).value} of {ended.plan.cluster}"
    said = f"{what_it_is} is aborted: {versions(ended)}; what was done stays as it is"
    on_nodes = (*pending_reboots(ended, aborted=True), *scripts_left(ended))
    last = f"to finish it later{', after that' if on_nodes else ''}: {again_command(ended)}"
    return (said, *on_nodes, *not_put_back(ended), last)


@dataclass(frozen=True, slots=True)
class Said:
    """What was done, in words. :ivar files: where the run's files are, as its journal says."""

    lines: tuple[str, ...]
    files: Mapping[str, str] = field(default_factory=dict)


class NotConfirmedError(CtmUpgradeError):
    """A person said no; nothing was done."""

    exit_code = ExitCode.PAUSED


def refuse_to_guess(request: CommandRequest, cluster: str | None, run: str | None, what: str) -> None:
    """Refuse to guess. :raises UsageError: neither a run nor a cluster is named, and more than one has a run to stop."""
    if cluster is not None or run is not None:
        return
    waiting = [(folder.run, folder.path.parent.name) for folder, _state in not_over(state_dir(request))]
    if len({cluster for _run, cluster in waiting}) > 1:
        known = ", ".join(f"{run} ({cluster})" for run, cluster in sorted(waiting))
        raise UsageError(
            f"which run is meant? Not over are: {known}",
            remedy=f"ctmupgrade {what} RUN, or name the cluster's file with -c FILE",
        )


def _set_aside(request: CommandRequest, cluster: str | None, run: str, broken: JournalError) -> str:
    """Ends a run whose journal cannot be read, so that it does not stand in the way for ever: the file stays, under a
    name that is looked at no more.

    :raises LockedError: a process runs this cluster's run.
    """
    folder = find(request, cluster, run)
    # Whose run it is cannot be read: a live one holds the cluster's lock, a simulated one its own.
    with hold(folder.path.parent, folder.run), hold(folder.path, folder.run):
        aside = folder.path / f"{folder.journal.stem}.broken-{time.time_ns()}"
        try:
            folder.journal.rename(aside)
        except OSError as error:
            raise JournalError(f"{folder.journal}: it cannot be set aside: {error.strerror}") from error
    return "\n".join((
        f"{folder.run} is aborted: its journal cannot be used ({broken.brief}) and is kept as {aside}",
        "what it did is known no more: look at every node first: ctmupgrade check",
        f"its marks may still be on the nodes: ctmupgrade run --take-over {folder.run}",
    ))  # fmt: skip


def decide(
    request: CommandRequest,
    cluster: str | None,
    run: str,
    node: str,
    decision: Decision,
    reason: str,
    confirm: Callable[[Meaning], bool] = lambda _meaning: True,
) -> Said:
    """Keep an operator's decision on a stuck node in the journal.

    :param confirm: asked with what the decision means. :returns: what was done and what comes next, in words.
    :raises UsageError: no such node in that run, it has ended, or the decision would do nothing.
    :raises NotConfirmedError: ``confirm`` said no.
    """
    folder, meaning, running = what_it_means(request, cluster, run, node, decision)
    if not reason.strip():
        raise UsageError(
            "--reason needs a text", details="it is kept in the journal", remedy="--reason 'ticket 4711'"
        )
    if not confirm(meaning):
        raise NotConfirmedError("not confirmed; the run is as it was")
    event = journal.NodeDecided(node, decision, reason, whoami())
    if running:
        _leave(folder, f"node-{decision}", event)
        first = f"{decision} of {node} is handed to the running process:"
        return Said((first, *meaning_lines(meaning)), meaning.before.files)
    _write(folder, lambda _held: [event])
    lines = (*meaning_lines(meaning, done=True), f"Continue with: ctmupgrade resume {folder.run}")
    return Said(lines, meaning.before.files)


def what_it_means(
    request: CommandRequest, cluster: str | None, run: str, node: str, decision: Decision
) -> tuple[RunFolder, Meaning, bool]:
    """Return the run, what a decision would do to it, and whether a process runs it now.

    :raises UsageError: no such node in that run, it has ended, or the decision would do nothing.
    """
    folder, found, running = state(request, cluster, run, going=True)
    if not found.unfinished:
        raise UsageError(
            f"run {folder.run} has ended already ({found.name})", remedy="ctmupgrade runs   # lists all"
        )
    if node not in found.plan.nodes:
        raise UsageError(f"{node} is not in run {folder.run}", remedy=nodes_known(node, found.plan.nodes))
    if decision == "skip" and builds_the_cluster(found, node):
        raise UsageError(
            f"{node} is the node from which the new cluster is built: without it no other can join, so it cannot be left out",
            remedy=f"mend it, then: ctmupgrade node retry {folder.run} {node} --reason 'cause fixed'\n"
            f"or end this run: ctmupgrade abort {folder.run}\nthen: ctmupgrade recover",
        )
    meaning = meaning_of(found, node, decision, running=running, at=found.at)
    if not meaning.steps:
        what = "nothing is left to do there" if decision == "skip" else "no step of it is stuck"
        raise UsageError(
            f"{node}: {what} ({node_state(found, node)}), so there is nothing to decide",
            remedy=f"ctmupgrade status {folder.run}",
        )
    return folder, meaning, running


def _leave(folder: RunFolder, kind: str, event: Event) -> None:
    ask_running(folder, kind, event)


def _write(folder: RunFolder, events: Callable[[RunState], list[Event]]) -> None:
    """Appends to the journal of a run that nobody runs, under the cluster's lock."""
    from datetime import datetime

    held = hold(lock_place(folder, folder.state().mode), folder.run)
    with held, FileRuns(folder.path.parent).opened(folder.run) as record:
        custody = record.state().custody
        if custody.away:
            raise LockedError(
                f"run {folder.run} was {custody.words}: nothing more is written to its journal here",
                remedy=f"where it was taken over, or, where nobody has taken it over: ctmupgrade resume {folder.run}",
            )
        found = record.state()
        # A simulated run has a time of its own, in which this machine's clock would be months away.
        at = found.at if found.mode is Mode.SIMULATED else datetime.now().astimezone()
        for event in events(found):
            record.append(event, at)


__all__ = ["ExitCode", "JournalError", "ask_stop", "decide", "refuse_to_guess", "state"]
