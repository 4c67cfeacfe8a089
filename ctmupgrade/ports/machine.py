"""What a run needs of this machine: proofs, time, places to keep things; and all its tools in one value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Protocol, TypeVar

from ctmupgrade.core.looks.backups import Manifest
from ctmupgrade.core.run import journal
from ctmupgrade.core.run.journal import Event, RunState
from ctmupgrade.core.run.report import JournalHead
from ctmupgrade.core.run.seen_events import ClientPort, PortsSeen
from ctmupgrade.core.ticks import Task, Tick
from ctmupgrade.ports.nodes import Fleet

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Signed:
    """A good signature by the pinned signer over a whole archive."""

    path: Path
    size: int  # bytes
    sha256: str  # "" where it was not asked for
    signer: str  # full fingerprint of the primary key
    key: str  # full fingerprint of the key that signed; differs where a subkey did
    signed_at: datetime | None


class Verifier(Protocol):
    """Checks an archive's GPG signature."""

    def verify(self, archive: Path, signer: str, keyring: Path | None, *, hashed: bool = True) -> Signed:
        """Check the signature. :param hashed: False: it alone, and ``sha256`` stays empty; a core less is busy.
        :raises SignatureError: anything but a good signature of ``signer``, each its own text.
        :raises UsageError: archive or keyring cannot be read, or gpg is missing."""
        ...


class Clock(Protocol):
    """Time as the journal sees it."""

    def now(self) -> datetime:
        """Return the present time, with its zone."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back, for durations and deadlines."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let time pass. A simulated clock only counts it."""
        ...


class Store(Protocol):
    """Where backups are kept on this machine."""

    def manifests(self) -> tuple[Manifest, ...]:
        """Return what is known of every downloaded backup, damaged ones with their problem."""
        ...

    def manifest_of(self, file: str) -> Manifest | None:
        """Return the manifest beside a backup, wherever that is; None where there is none of this cluster."""
        ...

    def paths(self, node: str, backup_id: str) -> tuple[Path, Path]:
        """Return temporary paths to download a backup and its key to. Made ready; old remains are removed."""
        ...

    def keep(self, manifest: Manifest) -> Manifest:
        """Move what was downloaded into place (0600) and write its manifest; return it with the paths.

        :raises NodeError: a file is missing or empty, or the disk does not take it."""
        ...

    def note_proven(self, manifest: Manifest, at: datetime) -> Manifest:
        """Write into its manifest that a backup was restored and proven; return it with that.

        :raises NodeError: the files are no longer what the manifest says, or the disk does not take it."""
        ...

    def save(self, name: str, text: str) -> str:
        """Keep a text (a node's settings) and return its path."""
        ...

    def settings_of(self, node: str) -> str:
        """Return the newest of a node's own settings that a run has kept, as JSON; "" where none did."""
        ...


@dataclass(frozen=True, slots=True)
class TaskEvent:
    """What a running task did: yielded a tick, returned evidence, or raised."""

    key: str
    tick: Tick | None = None
    evidence: journal.Evidence | None = None
    error: Exception | None = None


class Tasks(Protocol):
    """Runs generators side by side: threads in real life, a timeline in the simulator."""

    def start(self, key: str, task: Task) -> None:
        """Begin a task."""
        ...

    def next(self) -> TaskEvent | None:
        """Return the next thing to happen; None now and then, so that requests are noticed."""
        ...

    def go_on(self, key: str) -> None:
        """Let a task continue: its tick was dealt with (journaled)."""
        ...


class PortWatch(Protocol):
    """Asks the ports that clients use, again and again, beside everything else. Never raises, and holds nobody up."""

    def begin(self, ports: Sequence[ClientPort], every_s: float) -> None:
        """Begin to look, every so many seconds."""
        ...

    def news(self) -> Sequence[PortsSeen]:
        """Return the looks since the last call at which something had changed; the first look has every port."""
        ...

    def end(self) -> None:
        """Look no more."""
        ...


@dataclass(frozen=True, slots=True)
class Tools:
    """All of the outside that a run works with; the wiring chooses it, once.

    :ivar tasks: makes what runs a run's tasks.
    :ivar prefix_hash: SHA-256 of so many first bytes of the archive, as it is on this machine.
    :ivar rest_hash: SHA-256 of its bytes from an offset on, and of all of it; "" each where nobody will ask.
    :ivar unusable_store: why backups cannot be kept; "" where they can.
    :ivar port_watch: makes what asks clients' ports; None: nobody asks them.
    :ivar held_back: when the last of those logins may be tried again that were refused since then, both by the monotonic clock;
        0.0: none was.
    """

    fleet: Fleet
    verifier: Verifier
    clock: Clock
    gather: Gather
    tasks: Callable[[], Tasks]
    store: Store
    prefix_hash: Callable[[int], str]
    rest_hash: Callable[[int], tuple[str, str]]
    unusable_store: Callable[[], str]
    port_watch: Callable[[], PortWatch] | None = None
    held_back: Callable[[float], float] = lambda _since: 0.0


class SimulatedWorld(Protocol):
    """A cluster in memory, which another process can go on with."""

    def begin(self, usual: Mapping[tuple[str, str], float] = MappingProxyType({})) -> None:
        """Let it live from here on: one that was recorded only answered as it did until now.

        :param usual: seconds that a plan estimates, by node and kind of step: so long they take in a recorded cluster.
        :raises UsageError: it was not recorded well enough.
        """
        ...

    def strike(self, kind: str, node: str, lasts: float = 0.0, after: float = 0.0) -> None:
        """Let something go wrong.

        :param kind: the fault's name. :param node: "": every node. :param lasts: seconds; 0: until it is fixed, which it
            is for the process that resumes the run. :param after: seconds from now.
        """
        ...

    def saved(self) -> str:
        """Return all of its state, its time included, as a text."""
        ...

    def take_over(self, saved: str) -> None:
        """Become what was saved; whoever holds this world, or its clock, sees it from here on.

        :raises ValueError: the text is not a world's. So may be other errors of reading it.
        """
        ...


class Record(Protocol):
    """The journal as the loop sees it."""

    def append(self, event: Event, at: datetime) -> None:
        """Durably. :raises JournalError: it is not on disk."""
        ...


class Gather(Protocol):
    """Does the same for several names, side by side where it can."""

    def __call__(self, ask: Callable[[str], R], names: Sequence[str]) -> dict[str, R]:
        """Return the answer of ``ask`` for each name. Its errors are raised."""
        ...


class Journal(Record, Protocol):
    """One run's journal, held open. A torn last line was cut off."""

    @property
    def head(self) -> JournalHead:
        """Return what it ends in now; also asked from other threads."""
        ...

    def state(self) -> RunState:
        """Return the run's state by it. :raises JournalError: it does not hold together."""
        ...


class RunStore(Protocol):
    """The journals of one cluster's runs."""

    def begin(self, run: str, event: Event, at: datetime) -> None:
        """Make a run's journal with its first event.

        :raises JournalError: there is one, or it is not on disk.
        """
        ...

    def opened(self, run: str) -> AbstractContextManager[Journal]:
        """Open a run's journal, to be closed behind the block.

        :raises JournalError: it does not hold together, or cannot be read or written.
        """
        ...

    def append(self, run: str, event: Event, at: datetime) -> None:
        """Write one event into a journal that nobody holds open. :raises JournalError: it is not on disk."""
        ...
