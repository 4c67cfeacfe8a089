"""What the inside needs of the outside, as types. Adapters implement these.

*Look* and *touch* are different types: :class:`Reader` cannot change anything, and whatever
only looks (checks, plans, dry runs) is given nothing else. That they never write is
therefore a type error, not a flag.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeVar

from ctmupgrade.core.clean_text import clean
from ctmupgrade.core.looks.backups import Manifest
from ctmupgrade.core.model import Secret
from ctmupgrade.core.run import journal
from ctmupgrade.core.run.journal import Event
from ctmupgrade.core.ticks import Task, Tick

R = TypeVar("R")
MOST_ANSWER = 2**20  # bytes of one stream of an answer; a summary of 20 nodes has 200 KB


def most_time(silence: float) -> float:
    """Return the seconds in which an answer must be whole that may be silent for ``silence`` seconds: one that comes
    a byte at a time has an end too."""
    return 2 * silence


@dataclass(frozen=True, slots=True)
class Reply:
    """A command's whole answer. ``code`` is the exit status, always >= 0: a command whose
    status never came raises ``ConnectionLostError`` instead. What it said is cleaned here, once, whoever said it:
    see :func:`ctmupgrade.core.clean_text.clean`."""

    code: int
    out: str
    err: str

    def __post_init__(self) -> None:
        if (out := clean(self.out)) is not self.out:
            object.__setattr__(self, "out", out)
        if self.err:
            object.__setattr__(self, "err", clean(self.err))

    @property
    def ok(self) -> bool:
        """Exit status 0. Where a program's status is not known to be honest, look at ``out``."""
        return self.code == 0

    @property
    def missing(self) -> bool:
        """The shell does not have, or does not allow, this program (126, 127)."""
        return self.code in (126, 127)


class Reader(Protocol):
    """Runs commands that only look."""

    def read(self, *argv: str, timeout: float = 30.0) -> Reply:
        """Runs ``argv`` without a terminal and with closed standard input.

        :param timeout: seconds of silence after which the connection counts as lost.
        :raises UnreachableError: no connection; nothing was sent.
        :raises ConnectionLostError: the answer did not come whole.
        :raises TooMuchError: it is longer than :data:`MOST_ANSWER`, or takes longer than :func:`most_time`.
        """
        ...

    def stream(self, *argv: str, timeout: float = 30.0) -> Iterator[bytes]:
        """Runs ``argv`` and yields its standard output in pieces, never all in memory.

        :raises NodeError: it ended with another status than 0 (raised after the last piece).
        """
        ...


@dataclass(frozen=True, slots=True)
class Sent:
    """Progress of an upload: ``done`` bytes are known to be taken by the node (offset
    included). ``pause`` is 0 in real life, and virtual seconds in the simulator. ``way``: with the last
    one, how the file went."""

    done: int
    pause: float = 0.0
    way: str = ""


@dataclass(frozen=True, slots=True)
class Screenful:
    """What a terminal said since the last look, cleaned. ``ended`` with ``code`` None: it was lost."""

    text: str
    ended: bool
    code: int | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", clean(self.text))


class Terminal(Protocol):
    """A command on a pseudo-terminal that goes on while we look elsewhere.

    :ivar ends_with_us: why it ends when this process does; "" where it outlives it.
    """

    ends_with_us: str

    def look(self) -> Screenful:
        """The new output, without waiting. Never raises."""
        ...

    def close(self) -> None:
        """Lets go of our end. The appliance's own work is not stopped on purpose."""
        ...


class Shell(Reader, Protocol):
    """A node's shell as ``ksadmin``."""

    def change(self, *argv: str, timeout: float = 30.0, stdin: bytes | None = None) -> Reply:
        """Runs ``argv``, which changes something. Same errors as :meth:`Reader.read`, but an answer without an end is
        a ``ConnectionLostError`` too; after ``ConnectionLostError`` it must be looked at whether it happened, never repeated blindly."""
        ...

    def terminal(self, *argv: str) -> Terminal:
        """Starts ``argv`` on a pseudo-terminal with TERM set and returns at once.

        :raises NodeError: the node refuses a pseudo-terminal.
        """
        ...

    def upload(self, source: Path, target: str, *, offset: int = 0) -> Iterator[Sent]:
        """Writes ``source[offset:]`` at ``offset`` of the node's file ``target`` (created or
        cut to ``offset`` first) by the best way the node offers, yielding progress.

        :raises NodeError: the node cannot take it (disk full, read-only, no way of writing).
        :raises ConnectionLostError: the link broke; what the node has must be looked at.
        """
        ...

    def disconnect(self) -> None:
        """Drops the connection; the next call opens a new one."""
        ...


class Control(Reader, Protocol):
    """The vendor CLI ``ksctl`` pointed at one node's URL. ``argv`` starts after ``ksctl``."""

    def login(self) -> Secret:
        """The text of a ksctl configuration file that logs in here (for a joiner, docs/appliance.md 4.1)."""
        ...

    def change(
        self,
        *argv: str,
        timeout: float | None = None,
        answer: Secret | None = None,
        files: Mapping[str, Secret] | None = None,
    ) -> Reply:
        """Runs a changing command.

        :param timeout: seconds; None is the configured one.
        :param answer: typed at each password prompt (the command then gets a terminal of its
            own); never a part of the command line.
        :param files: each ``{name}`` in ``argv`` becomes the path of a 0600 file with that
            content which is removed afterwards.
        """
        ...


class Looks(Protocol):
    """Readers for every node: its shell, and the control plane pointed at it."""

    def shell(self, node: str) -> Reader:
        """Return the node's shell. :raises KeyError: no such node."""
        ...

    def control(self, node: str) -> Reader:
        """Return the node's control plane. :raises KeyError: no such node."""
        ...


class Fleet(Protocol):
    """The same with the right to change. Satisfies :class:`Looks`."""

    def shell(self, node: str) -> Shell:
        """Return the node's shell. :raises KeyError: no such node."""
        ...

    def control(self, node: str) -> Control:
        """Return the node's control plane. :raises KeyError: no such node."""
        ...

    def close(self) -> None:
        """Let go of all connections. Never raises."""
        ...


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
        """:param hashed: False: the signature alone, and ``sha256`` stays empty; a core less is busy.
        :raises SignatureError: anything but a good signature of ``signer``, each its own text.
        :raises UsageError: archive or keyring cannot be read, or gpg is missing."""
        ...


class Clock(Protocol):
    """Time as the journal sees it."""

    def now(self) -> datetime:
        """Now, with time zone."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back, for durations and deadlines."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let time pass. A simulated clock only counts it."""
        ...


class Store(Protocol):
    """Where backups are kept on this machine."""

    def manifests(self) -> tuple[Manifest, ...]:
        """Return what is known of every downloaded backup, damaged ones with their problem."""
        ...

    def paths(self, node: str, backup_id: str) -> tuple[Path, Path]:
        """Temporary paths to download a backup and its key to. Made ready; old remains are removed."""
        ...

    def keep(self, manifest: Manifest) -> Manifest:
        """Moves what was downloaded into place (0600) and writes its manifest; returns it with the paths.

        :raises NodeError: a file is missing or empty, or the disk does not take it."""
        ...

    def save(self, name: str, text: str) -> str:
        """Keeps a text (a node's settings) and returns its path."""
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
        """Begins a task."""
        ...

    def next(self) -> TaskEvent | None:
        """The next thing to happen; None now and then, so that requests are noticed."""
        ...

    def go_on(self, key: str) -> None:
        """The tick was dealt with (journaled); the task may continue."""
        ...


@dataclass(frozen=True, slots=True)
class Tools:
    """All of the outside that a run works with; the wiring chooses it, once.

    :ivar tasks: makes what runs a run's tasks.
    :ivar prefix_hash: SHA-256 of so many first bytes of the archive, as it is on this machine.
    :ivar rest_hash: SHA-256 of its bytes from an offset on, and of all of it; "" each where nobody will ask.
    :ivar unusable_store: why backups cannot be kept; "" where they can.
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


class SimulatedWorld(Protocol):
    """A cluster in memory, which another process can go on with."""

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

    def __call__(self, ask: Callable[[str], R], names: Sequence[str]) -> dict[str, R]: ...
