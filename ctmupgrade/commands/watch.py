"""``watch``: a run in another process, followed through its journal."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from ctmupgrade.adapters.disk.journal_file import read_journal
from ctmupgrade.adapters.disk.run_store import runs_now
from ctmupgrade.codec import event_from_json
from ctmupgrade.commands.choose import find
from ctmupgrade.commands.request import CommandRequest
from ctmupgrade.commands.status import overview_of
from ctmupgrade.core.overview.overview import Overview
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
    looked: Callable[[Overview], None] = lambda _view: None,
) -> RunState:
    """Tell every event, those that were before and those that come, until the run ends or pauses or no
    process runs it any more.

    :param looked: told at each look where the run is.
    :raises UsageError: no such run. :raises JournalError: its journal is broken.
    """
    folder = find(request, cluster, run, going=True)
    state: RunState | None = None
    told, size = 0, -1
    while True:
        if (now := folder.journal.stat().st_size) != size:  # else there is nothing new in it
            lines, _torn = read_journal(folder.journal)
            for line in lines[told:]:
                state = _after(state, event_from_json(line.event), line.at, seen)
            told, size = len(lines), now
        if state is None:
            raise JournalError(f"{folder.journal}: the journal is empty")
        view = overview_of(folder, state, running=runs_now(folder, state.mode))
        looked(view)
        if not state.unfinished or state.paused or not view.alive:
            return state
        sleep(LOOK_EVERY)


def _after(
    state: RunState | None,
    event: Event,
    at: datetime,
    seen: Callable[[RunState, Event | None, str, Tick | None], None],
) -> RunState | None:
    if isinstance(event, RunStarted):
        state = journal.start(event, at)
    elif state is not None:
        state = journal.apply(state, event, at)
    if state is not None:
        seen(state, event, "", None)
    return state
