"""Asks a control plane or a shell that does not answer no longer than its answer is worth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from ctmupgrade.core.ksctl import sounds_away
from ctmupgrade.core.looks.excerpt import excerpt
from ctmupgrade.core.model import Node
from ctmupgrade.errors import ConnectionLostError, TooMuchError, UnreachableError
from ctmupgrade.ports import Clock, Looks, Reader, Reply

LONG = 10.0  # seconds: an answer "away" that took longer was a time-out


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one node is asked.

    :ivar usual: seconds that a look may take. :ivar brief: where the one before was not answered.
    :ivar silences: so many looks in a row without an answer, and no more is asked.
    """

    usual: float
    brief: float
    silences: int


# A program that hangs, as df on a lost mount, is asked in several ways: that alone is no shell that is gone.
SHELL = Patience(usual=30.0, brief=LONG, silences=6)


class PatientReader:
    """Implements :class:`ctmupgrade.ports.Reader` for one node's control plane or shell in one gathering of looks."""

    def __init__(self, reader: Reader, patience: Patience, clock: Clock) -> None:
        self._reader, self._clock = reader, clock
        self._patience = patience
        self._silent = 0
        self._said = ""

    @classmethod
    def of_control(cls, looks: Looks, node: Node, clock: Clock) -> Self:
        """Return a node's control plane."""
        return cls(looks.control(node.name), Patience(node.ksctl.timeout, brief=30.0, silences=2), clock)

    @classmethod
    def of_shell(cls, looks: Looks, node: Node, clock: Clock) -> Self:
        """Return a node's shell. Its dripping answers may each take longer than silence may."""
        return cls(looks.shell(node.name), SHELL, clock)

    def hurry(self) -> None:
        """Shorten the time for looks: its shell does not answer either."""
        self._silent = max(self._silent, 1)

    def read(self, *argv: str, timeout: float | None = None) -> Reply:
        """See :meth:`ctmupgrade.ports.Reader.read`.

        :param timeout: seconds; None is the configured time, or less where the look before had no answer.
        :raises UnreachableError: the looks before were not answered.
        """
        if self._silent >= self._patience.silences:
            raise UnreachableError(
                f"not asked again after {self._silent} tries without an answer: {self._said}"
            )
        if self._silent:
            timeout = min(self._patience.brief, timeout or self._patience.usual)
        began = self._clock.monotonic()
        try:
            reply = self._reader.read(*argv) if timeout is None else self._reader.read(*argv, timeout=timeout)
        except (ConnectionLostError, TooMuchError) as error:
            self._count(began, error.brief)
            raise
        if not reply.ok and sounds_away(said := f"{reply.out} {reply.err}"):
            self._count(began, excerpt(said))
        else:
            self._silent = 0
        return reply

    def stream(self, *argv: str, timeout: float = 30.0) -> Iterator[bytes]:
        """See :meth:`ctmupgrade.ports.Reader.stream`."""
        return self._reader.stream(*argv, timeout=timeout)

    def _count(self, began: float, said: str) -> None:
        """An "away" that came at once costs nothing: others may be answered."""
        if self._clock.monotonic() - began >= min(LONG, self._patience.usual):
            self._silent += 1
            self._said = said
