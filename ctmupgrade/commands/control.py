"""Commands about runs that are going on or over: status, report, pause, abort, node decisions."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

from ctmupgrade.adapters.disk.journal_file import JournalFile
from ctmupgrade.adapters.disk.run_store import FileRecord, RunFolder, ask_running, folders
from ctmupgrade.commands.request import CommandRequest
from ctmupgrade.commands.runs import find, hold
from ctmupgrade.commands.status import state
from ctmupgrade.commands.wiring import state_dir, whoami
from ctmupgrade.core.redact import foreign
from ctmupgrade.core.run import journal
from ctmupgrade.core.run.journal import Event, RunState
from ctmupgrade.core.run.report import pending_reboots
from ctmupgrade.errors import ExitCode, ForeignStateError, JournalError, UsageError


def ask_stop(
    request: CommandRequest, cluster: str | None, run: str | None, what: Literal["pause", "abort"]
) -> str:
    """Asks the running process to stop after the step in hand; ends an abandoned run at once.

    :returns: what was done, in words. :raises UsageError: the run has ended already.
    """
    try:
        folder, found, running = state(request, cluster, run)
    except ForeignStateError:
        raise
    except JournalError as broken:
        if what == "pause" or run is None:
            raise
        return _set_aside(request, cluster, run, broken)
    if not found.unfinished:
        raise UsageError(f"run {folder.run} has ended already ({found.name})")
    asked = journal.StopAsked(what, whoami())
    if running:
        _leave(folder, what, asked)
        return (
            f"{what} of {folder.run} is pending: it stops when the step in hand is done (ctmupgrade status)"
        )
    if what == "pause":
        return f"{folder.run} is not running; nothing to pause (ctmupgrade resume goes on)"
    _write(
        folder, lambda _held: [asked, journal.RunEnded("aborted", {}, "as asked, while it was not running")]
    )
    return "\n".join(
        (f"{folder.run} is aborted; what was done stays as it is", *pending_reboots(found, aborted=True))
    )


def refuse_to_guess(request: CommandRequest, cluster: str | None, run: str | None, what: str) -> None:
    """:raises UsageError: neither a run nor a cluster is named, and more than one cluster has a run to stop."""
    if cluster is not None or run is not None:
        return
    waiting = []
    for home in sorted(path for path in state_dir(request).glob("*") if path.is_dir()):
        with suppress(ForeignStateError):  # another user's, in a state folder that is shared
            for folder in folders(home):
                with suppress(JournalError, OSError):
                    if folder.state().unfinished:
                        waiting.append(f"{folder.run} ({home.name})")
    if len({text.partition(" ")[2] for text in waiting}) > 1:
        raise UsageError(
            f"which run is meant? Not over are: {', '.join(waiting)}",
            remedy=f"ctmupgrade {what} RUN, or name the cluster's file with -c FILE",
        )


def _set_aside(request: CommandRequest, cluster: str | None, run: str, broken: JournalError) -> str:
    """Ends a run whose journal cannot be read, so that it does not stand in the way for ever: the file stays, under a
    name that is looked at no more.

    :raises LockedError: a process runs this cluster's run.
    """
    folder = find(request, cluster, run)
    with hold(folder.path.parent, folder.run):
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
    request: CommandRequest, run: str, node: str, decision: Literal["retry", "skip", "done"], reason: str
) -> str:
    """An operator's decision on a stuck node, kept in the journal.

    :raises UsageError: no such node in that run, or it has ended.
    """
    folder, found, running = state(request, None, run)
    if not found.unfinished:
        raise UsageError(f"run {folder.run} has ended already ({found.name})")
    if node not in found.plan.nodes:
        raise UsageError(
            f"{node} is not in run {folder.run}", remedy=f"it has: {', '.join(found.plan.nodes)}"
        )
    if not reason.strip():
        raise UsageError("--reason is empty", remedy="say why; it is kept in the journal")
    event = journal.NodeDecided(node, decision, foreign(reason), whoami())
    if running:
        _leave(folder, f"node-{decision}", event)
        return f"{decision} of {node} is handed to the running process"
    _write(folder, lambda _held: [event])
    return f"{node}: {decision}; ctmupgrade resume {folder.run} goes on"


def _leave(folder: RunFolder, kind: str, event: Event) -> None:
    ask_running(folder, kind, event)


def _write(folder: RunFolder, events: Callable[[RunState], list[Event]]) -> None:
    """Appends to the journal of a run that nobody runs, under the cluster's lock."""
    from datetime import datetime

    with hold(folder.path.parent, folder.run):
        file = JournalFile.open(folder.journal)
        record = FileRecord(file)
        for event in events(folder.state()):
            record.append(event, datetime.now().astimezone())
        file.close()


__all__ = ["ExitCode", "JournalError", "ask_stop", "decide", "refuse_to_guess", "state"]
