"""A cluster's runs on this machine's disk: their folders, journals and requests."""

from __future__ import annotations

import fcntl
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from ctmupgrade.adapters.disk.journal_file import JournalFile, Line, read_journal
from ctmupgrade.adapters.disk.requests import StopRequest as Asked
from ctmupgrade.adapters.disk.requests import clear_requests, read_requests, write_request
from ctmupgrade.codec import event_from_json, event_to_json
from ctmupgrade.core.run.journal import Event, RunState, replay
from ctmupgrade.errors import JournalError

JOURNAL = "journal.jsonl"


@dataclass(frozen=True, slots=True)
class RunFolder:
    """One run's folder."""

    path: Path

    @property
    def run(self) -> str:
        """Return the run's id, which is its folder's name."""
        return self.path.name

    @property
    def journal(self) -> Path:
        """Return the path of the run's journal."""
        return self.path / JOURNAL

    def state(self) -> RunState:
        """The run's state from its journal alone; another process may be writing it.

        :raises JournalError: it does not hold together.
        """
        lines, _torn = read_journal(self.journal)
        return state_of(lines)


def state_of(lines: list[Line]) -> RunState:
    """The fold over journal lines. :raises JournalError: not a run's journal."""
    try:
        return replay((event_from_json(line.event), line.at) for line in lines)
    except (ValueError, KeyError) as error:
        raise JournalError(f"the journal does not hold together: {error}") from error


class FileRecord:
    """The executor's journal on disk."""

    def __init__(self, journal: JournalFile) -> None:
        self._journal = journal

    def append(self, event: Event, at: datetime) -> None:
        """Durably. :raises JournalError: it is not on disk."""
        self._journal.append(event_to_json(event), at)


def folders(home: Path) -> list[RunFolder]:
    """All runs of a cluster, oldest first."""
    if not home.is_dir():
        return []
    return [RunFolder(p) for p in sorted(home.iterdir()) if _begun(p / JOURNAL)]


def _begun(journal: Path) -> bool:
    """Whether it has its first line. Marks and changes come after that: a process that was killed before has
    left nothing that could be resumed, and must not stop the next run."""
    try:
        with journal.open("rb") as file:
            return file.readline().endswith(b"\n")
    except (FileNotFoundError, NotADirectoryError):
        return False


def is_running(home: Path) -> bool:
    """Whether a process holds the cluster's lock now. Writes nothing."""
    try:
        with (home / "lock").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def ask_running(folder: RunFolder, kind: str, event: Event) -> None:
    """Leaves a request for the process that runs this run."""
    write_request(folder.path, kind, event_to_json(event))


@dataclass(slots=True)
class Requests:
    """What other shells ask of the run in ``folder``. A request goes only once the journal has it."""

    folder: RunFolder
    taken: list[Asked] = field(default_factory=list)

    def look(self) -> list[Event]:
        """The requests that wait, as events; those of the last look are in the journal by now."""
        clear_requests(self.taken)
        self.taken = read_requests(self.folder.path)
        return [event_from_json(request.payload) for request in self.taken]
