"""Whether a run goes on: a process of this machine works on it, or one of another machine said so of late."""

from __future__ import annotations

from datetime import datetime, timedelta

from ctmupgrade.adapters.disk.progress_file import read_progress
from ctmupgrade.adapters.disk.run_store import RunFolder, runs_now
from ctmupgrade.commands.wiring import whoami
from ctmupgrade.core.overview.activity import Doing
from ctmupgrade.core.run.journal import RunState

ELSEWHERE_FOR = timedelta(
    minutes=5
)  # after its last word a run on another machine counts as one that goes on


def goes_on(folder: RunFolder, found: RunState) -> bool:
    """Return whether a process works on a run now."""
    if not found.unfinished:
        return False
    running = runs_now(folder, found.mode)
    return running or (
        not found.paused and elsewhere(read_progress(folder.progress), datetime.now().astimezone())
    )


def elsewhere(doing: Doing, now: datetime) -> bool:
    """Return whether another machine, whose locks are not seen here, said of late that it runs the run."""
    host, ours = doing.by.rpartition("@")[2], whoami().rpartition("@")[2]
    return doing.at is not None and host != ours and abs(now - doing.at) < ELSEWHERE_FOR
