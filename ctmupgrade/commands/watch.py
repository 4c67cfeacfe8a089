"""``watch``: a run in another process, followed through its journal."""

from __future__ import annotations

from collections.abc import Callable

from ctmupgrade.adapters.disk.journal_file import read_journal
from ctmupgrade.adapters.disk.run_store import is_running, lock_place
from ctmupgrade.codec import event_from_json
from ctmupgrade.commands.choose import find
from ctmupgrade.commands.request import CommandRequest
from ctmupgrade.core.run import journal
from ctmupgrade.core.run.journal import Event, RunStarted, RunState
from ctmupgrade.core.ticks import Tick
from ctmupgrade.errors import JournalError

LOOK_EVERY = 1.0  # seconds


def follow(
    request: CommandRequest,
    cluster: str | None,
    run: str | None,
    seen: Callable[[RunState, Event | None, str, Tick | None], None],
    sleep: Callable[[float], None],
) -> RunState:
    """Tell every event, those that were before and those that come, until the run ends or pauses or no
    process runs it any more.

    :raises UsageError: no such run. :raises JournalError: its journal is broken.
    """
    folder = find(request, cluster, run, going=True)
    state: RunState | None = None
    told = 0
    while True:
        lines, _torn = read_journal(folder.journal)
        for line in lines[told:]:
            event = event_from_json(line.event)
            if isinstance(event, RunStarted):
                state = journal.start(event, line.at)
            elif state is not None:
                state = journal.apply(state, event, line.at)
            if state is not None:
                seen(state, event, "", None)
        told = len(lines)
        if state is None:
            raise JournalError(f"{folder.journal}: the journal is empty")
        if not state.unfinished or state.paused or not is_running(lock_place(folder, state.mode)):
            return state
        sleep(LOOK_EVERY)
