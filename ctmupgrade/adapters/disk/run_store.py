"""A cluster's runs on this machine's disk: their folders, journals and requests."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from ctmupgrade.adapters.disk.bounded_file import read_text_bounded
from ctmupgrade.adapters.disk.journal_file import JournalFile, Line, read_with_head
from ctmupgrade.adapters.disk.ownership import open_ours, refuse_foreign
from ctmupgrade.adapters.disk.requests import (
    StopRequest,
    clear_requests,
    read_requests,
    set_aside,
    write_request,
)
from ctmupgrade.codec import event_from_json, event_to_json
from ctmupgrade.core.json_text import read_json
from ctmupgrade.core.modes import Mode
from ctmupgrade.core.run.journal import Event, RequestRefused, RunState, StopAsked, replay
from ctmupgrade.core.run.report import JournalHead
from ctmupgrade.errors import UNFORESEEN, JournalError

JOURNAL = "journal.jsonl"
SIMULATIONS = "simulations"  # beside the runs' folders: what simulated runs of this cluster share
_UNUSABLE = "ctmupgrade check   # on the nodes, first; then: ctmupgrade abort {0}   # sets that journal aside"


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

    @property
    def progress(self) -> Path:
        """Return the path of the small file that says what the run's steps do between two lines of its journal."""
        return self.path / "progress.json"

    def state(self) -> RunState:
        """Return the run's state from its journal alone; another process may be writing it.

        :raises JournalError: it does not hold together.
        """
        return self.state_and_head()[0]

    def state_and_head(self) -> tuple[RunState, JournalHead]:
        """Return the same, and what the journal ends in. :raises JournalError: it does not hold together."""
        lines, head = read_with_head(self.journal)
        try:
            return state_of(lines), head
        except JournalError as error:
            error.remedy = error.remedy or _UNUSABLE.format(self.run)
            raise


def state_of(lines: list[Line]) -> RunState:
    """Return the fold over journal lines. :raises JournalError: not a run's journal."""
    try:
        return replay((event_from_json(line.event), line.at) for line in lines)
    except UNFORESEEN as error:
        raise JournalError(f"the journal does not hold together: {error}") from error


class FileRecord:
    """One run's :class:`~ctmupgrade.ports.Journal`, on disk."""

    def __init__(self, journal: JournalFile) -> None:
        self._journal = journal

    def state(self) -> RunState:
        """Return the run's state by it. :raises JournalError: it does not hold together."""
        return state_of(self._journal.lines())

    def append(self, event: Event, at: datetime) -> None:
        """Durably. :raises JournalError: it is not on disk."""
        self._journal.append(event_to_json(event), at)

    @property
    def head(self) -> JournalHead:
        """Return what the journal ends in now; also asked from other threads."""
        return self._journal.head


@dataclass(frozen=True, slots=True)
class FileRuns:
    """The journals of a cluster's runs, a folder each: a :class:`~ctmupgrade.ports.RunStore`.

    :ivar home: the cluster's folder. :ivar durable: each line is on disk before anything further happens.
    """

    home: Path
    durable: bool = True

    def begin(self, run: str, event: Event, at: datetime) -> None:
        """See :meth:`ctmupgrade.ports.RunStore.begin`."""
        with closing(JournalFile.create(RunFolder(self.home / run).journal)) as file:
            FileRecord(file).append(event, at)

    @contextmanager
    def opened(self, run: str) -> Iterator[FileRecord]:
        """See :meth:`ctmupgrade.ports.RunStore.opened`."""
        with closing(JournalFile.open(RunFolder(self.home / run).journal, durable=self.durable)) as file:
            yield FileRecord(file)

    def append(self, run: str, event: Event, at: datetime) -> None:
        """See :meth:`ctmupgrade.ports.RunStore.append`."""
        with self.opened(run) as record:
            record.append(event, at)


def folders(home: Path) -> list[RunFolder]:
    """Return all runs of a cluster, oldest first.

    :raises ForeignStateError: the folder, or a journal in it, is not ours alone.
    """
    if not home.is_dir():
        return []
    refuse_foreign(home, home.parent)
    return [RunFolder(p) for p in sorted(home.iterdir()) if _begun(p / JOURNAL)]


def _begun(journal: Path) -> bool:
    """Whether it has its first line. Marks and changes come after that: a process that was killed before has
    left nothing that could be resumed, and must not stop the next run."""
    try:
        with os.fdopen(open_ours(journal), "rb") as file:
            return file.readline().endswith(b"\n")
    except (FileNotFoundError, NotADirectoryError):
        return False


def is_running(home: Path) -> bool:
    """Return whether a process holds the cluster's lock now. Writes nothing.

    :raises ForeignStateError: what is there is no file of ours.
    """
    try:
        with os.fdopen(open_ours(home / "lock"), "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def cluster_place(home: Path, *, simulated: bool) -> Path:
    """Return the folder whose lock the process holds that changes a cluster: the appliances, or simulated ones. A rehearsal
    must not keep a live run out."""
    return home / SIMULATIONS if simulated else home


def lock_place(folder: RunFolder, mode: Mode) -> Path:
    """Return the folder whose lock the process holds that runs this run. Several simulated runs of a cluster may be
    unfinished while one of them runs, so that each has a lock of its own too."""
    return folder.path if mode is Mode.SIMULATED else folder.path.parent


def runs_now(folder: RunFolder, mode: Mode) -> bool:
    """Return whether a process runs this run now: a live one's lock may be held for another run of its cluster."""
    place = lock_place(folder, mode)
    if not is_running(place):
        return False
    told = ""
    with suppress(OSError, *UNFORESEEN):  # its holder may not have written yet
        told = str(read_json(read_text_bounded(place / "lock")).get("run", ""))
    return told in ("", "unknown") or folder.run.startswith(told)  # a resume may name it by its beginning


def ask_running(folder: RunFolder, kind: str, event: Event) -> None:
    """Leave a request for the process that runs this run."""
    write_request(folder.path, kind, event_to_json(event))


@dataclass(slots=True)
class Requests:
    """What other shells ask of the run in ``folder``. A request goes only once the journal has it.

    :ivar nodes: the nodes of the run's plan: a decision on another one is refused.
    :ivar asked: the requests that the journal has: one whose file a dead process could not remove any more is not obeyed
        again.
    """

    folder: RunFolder
    nodes: Collection[str]
    asked: frozenset[str] = frozenset()
    taken: list[StopRequest] = field(default_factory=list)
    refused: set[Path] = field(default_factory=set)  # each is reported once, also where it cannot be moved

    def look(self) -> list[Event]:
        """Return the requests that wait, as events; those of the last look are in the journal by now. What is no request is
        set aside and reported, by an event too."""
        clear_requests(self.taken)
        found, wrong = read_requests(self.folder.path, self.nodes)
        clear_requests(request for request in found if request.path.name in self.asked)
        self.taken = [request for request in found if request.path.name not in self.asked]
        events: list[Event] = [request.event for request in self.taken]
        for path, why in wrong:
            if path not in self.refused:
                self.refused.add(path)
                events.append(RequestRefused(set_aside(path), why))
        return events

    def journaled(self, event: Event | None) -> None:
        """Remove the request that the journal has now. Whoever ends after this line makes no look that would remove it, and the
        next process would obey it again."""
        done = [request for request in self.taken if request.event is event]
        clear_requests(done)
        self.asked |= {request.path.name for request in done}
        self.taken = [request for request in self.taken if request.event is not event]

    def stops(self) -> list[StopRequest]:
        """Return the requests to stop that wait now, of which nothing else is done."""
        found, _wrong = read_requests(self.folder.path, self.nodes)
        return [request for request in found if isinstance(request.event, StopAsked)]

    def drop(self, older: Collection[StopRequest]) -> list[Event]:
        """Set aside what asked to stop before somebody asked to go on, and return events that say so; what the journal has
        already is removed. Only once the journal says that the run goes on."""
        clear_requests(request for request in older if request.path.name in self.asked)
        left = [request for request in older if request.path.name not in self.asked]
        why = "it was left before this resume, which is the newer will"
        return [
            RequestRefused(set_aside(request.path), f"{request.kind} by {request.event.by}: {why}")
            for request in left
        ]
