"""What the inside needs of the outside, as types. Adapters implement these.

*Look* and *touch* are different types: :class:`Reader` cannot change anything, and whatever
only looks (checks, plans, dry runs) is given nothing else. That they never write is
therefore a type error, not a flag.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from ctmupgrade.core.clean_text import clean
from ctmupgrade.core.model import Cluster, Secret

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
        """Return whether the shell does not have, or does not allow, this program (126, 127)."""
        return self.code in (126, 127)


class Reader(Protocol):
    """Runs commands that only look."""

    def read(self, *argv: str, timeout: float = 30.0) -> Reply:
        """Run ``argv`` without a terminal and with closed standard input.

        :param timeout: seconds of silence after which the connection counts as lost.
        :raises UnreachableError: no connection; nothing was sent.
        :raises ConnectionLostError: the answer did not come whole.
        :raises TooMuchError: it is longer than :data:`MOST_ANSWER`, or takes longer than :func:`most_time`.
        """
        ...

    def stream(self, *argv: str, timeout: float = 30.0) -> Iterator[bytes]:
        """Run ``argv`` and yield its standard output in pieces, never all in memory.

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
        """Return the new output, without waiting. Never raises."""
        ...

    def close(self) -> None:
        """Let go of our end. The appliance's own work is not stopped on purpose."""
        ...


class Shell(Reader, Protocol):
    """A node's shell as ``ksadmin``."""

    def change(self, *argv: str, timeout: float = 30.0, stdin: bytes | None = None) -> Reply:
        """Run ``argv``, which changes something. Same errors as :meth:`Reader.read`, but an answer without an end is
        a ``ConnectionLostError`` too; after ``ConnectionLostError`` it must be looked at whether it happened, never repeated blindly."""
        ...

    def terminal(self, *argv: str) -> Terminal:
        """Start ``argv`` on a pseudo-terminal with TERM set and return at once.

        :raises NodeError: the node refuses a pseudo-terminal.
        """
        ...

    def upload(self, source: Path, target: str, *, offset: int = 0) -> Iterator[Sent]:
        """Write ``source[offset:]`` at ``offset`` of the node's file ``target`` (created or
        cut to ``offset`` first) by the best way the node offers, yielding progress.

        :raises NodeError: the node cannot take it (disk full, read-only, no way of writing).
        :raises ConnectionLostError: the link broke; what the node has must be looked at.
        """
        ...

    def disconnect(self) -> None:
        """Drop the connection; the next call opens a new one."""
        ...


class Control(Reader, Protocol):
    """The vendor CLI ``ksctl`` pointed at one node's URL. ``argv`` starts after ``ksctl``."""

    def login(self) -> AbstractContextManager[Secret]:
        """Return the text of a ksctl configuration file that logs in here (for a joiner, docs/appliance.md 4.1), good for calls
        inside the block.

        :raises UnreachableError: the way there cannot be made.
        """
        ...

    def change(
        self,
        *argv: str,
        timeout: float | None = None,
        answer: Secret | None = None,
        files: Mapping[str, Secret] | None = None,
    ) -> Reply:
        """Run a changing command.

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

    def learn(self, cluster: Cluster) -> None:
        """Know the nodes of a cluster that has more than at first: new instances of a run that is resumed."""
        ...

    def close(self) -> None:
        """Let go of all connections. Never raises."""
        ...
