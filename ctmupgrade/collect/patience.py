"""Asks a control plane that does not answer no longer than its answer is worth."""

from __future__ import annotations

from collections.abc import Iterator

from ctmupgrade.core.ksctl import sounds_away
from ctmupgrade.core.looks.excerpt import excerpt
from ctmupgrade.core.model import Node
from ctmupgrade.errors import ConnectionLostError, TooMuchError, UnreachableError
from ctmupgrade.ports import Clock, Reader, Reply

LONG = 10.0  # seconds: an answer "away" that took longer was a time-out
BRIEF = 30.0  # seconds a look gets where the one before was not answered
SILENCES = 2  # so many looks in a row without an answer, and no more is asked


class PatientControl:
    """Implements :class:`ctmupgrade.ports.Reader` for one node's control plane in one gathering of looks."""

    def __init__(self, reader: Reader, node: Node, clock: Clock) -> None:
        self._reader, self._clock = reader, clock
        self._usual = node.ksctl.timeout
        self._silent = 0
        self._said = ""

    def hurry(self) -> None:
        """Shorten the time for looks: its shell does not answer either."""
        self._silent = max(self._silent, 1)

    def read(self, *argv: str, timeout: float | None = None) -> Reply:
        """See :meth:`ctmupgrade.ports.Reader.read`.

        :param timeout: seconds; None is the configured time, or less where the look before had no answer.
        :raises UnreachableError: the looks before were not answered.
        """
        if self._silent >= SILENCES:
            raise UnreachableError(
                f"not asked again after {self._silent} tries without an answer: {self._said}"
            )
        if self._silent:
            timeout = min(BRIEF, timeout or self._usual)
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
        if self._clock.monotonic() - began >= min(LONG, self._usual):
            self._silent += 1
            self._said = said
