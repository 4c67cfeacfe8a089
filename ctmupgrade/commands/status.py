"""Where a run stands, from its journal alone."""

from __future__ import annotations

from ctmupgrade.adapters.disk.journal_file import verify_chain
from ctmupgrade.adapters.disk.run_store import RunFolder, is_running
from ctmupgrade.commands.request import CommandRequest
from ctmupgrade.commands.runs import find
from ctmupgrade.core.run.journal import RunState


def state(request: CommandRequest, cluster: str | None, run: str | None) -> tuple[RunFolder, RunState, bool]:
    """A run's folder, its state, and whether a process runs it now.

    :raises UsageError: no such run. :raises JournalError: its journal is broken.
    """
    folder = find(request, cluster, run)
    found = folder.state()
    return folder, found, found.unfinished and is_running(folder.path.parent)


def chain_problems(folder: RunFolder) -> list[str]:
    """What is wrong with the journal's hash chain, each with its line."""
    return verify_chain(folder.journal)
