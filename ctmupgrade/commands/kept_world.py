"""A simulated world that outlives its process, as a real one does: written down before each line of the journal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ctmupgrade.adapters.disk.run_store import RunFolder
from ctmupgrade.commands.runs import save_world
from ctmupgrade.commands.wiring import Setup
from ctmupgrade.core.run.journal import Event, RunState
from ctmupgrade.core.run.report import JournalHead
from ctmupgrade.ports import Journal


@dataclass(slots=True)
class KeptJournal:
    """A :class:`~ctmupgrade.ports.Journal` whose world is never behind it. A world that is ahead is one in which the
    appliances went on while nobody looked; resume finds that out as it does in real life."""

    inner: Journal
    folder: RunFolder
    setup: Setup

    @property
    def head(self) -> JournalHead:
        """See :attr:`ctmupgrade.ports.Journal.head`."""
        return self.inner.head

    def state(self) -> RunState:
        """See :meth:`ctmupgrade.ports.Journal.state`."""
        return self.inner.state()

    def append(self, event: Event, at: datetime) -> None:
        """Write the world, then the event. :raises JournalError: the event is not on disk."""
        save_world(self.folder, self.setup)
        self.inner.append(event, at)


def kept_beside(record: Journal, folder: RunFolder, setup: Setup) -> Journal:
    """Return the journal of a run, beside which its simulated world is kept where that is wanted."""
    return KeptJournal(record, folder, setup) if setup.keeps_world else record
