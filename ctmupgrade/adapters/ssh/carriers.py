"""How many connections a jump host bears is found out: fewer at once, then one that several share.

Each connection to a node has one of its own through the jump hosts, for speed and so that nothing takes another with
it. Where a jump host lets no more in (MaxStartups, a limit for each address), we come one after the other, and at
last go through a connection that is there already.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

from ctmupgrade.errors import AuthenticationError, HostKeyError, UnreachableError

_AT_ONCE = 6  # logins at the same time; sshd begins to drop them at 10
_PAUSES = (0.3, 0.6, 1.2, 2.4)  # seconds before we knock again
_LATELY = 60.0  # seconds


class DroppedError(UnreachableError):
    """The server took the connection and dropped it before the login: it may have too many."""


class Carrying(Protocol):
    """A connection that others can go through."""

    @property
    def alive(self) -> bool:
        """Return whether it may be alive: False when it is known to have ended."""
        ...

    def close(self) -> None:
        """End it."""
        ...


C = TypeVar("C", bound=Carrying)


class Carrier(Generic[C]):
    """A connection through jump hosts, with a count of those that go through it."""

    def __init__(self, link: C, gate: Gate[C]) -> None:
        self.link, self.users = link, 1
        self._gate = gate

    def leave(self) -> None:
        """Give it up; the last one ends it. Never raises."""
        self._gate.leave(self)


class Gate(Generic[C]):
    """The way through one chain of jump hosts, for all nodes behind it."""

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._limit = _AT_ONCE
        self._entering = 0  # whose turn it is
        self._knocking = 0  # who wants in, those included
        self._entered = -_LATELY
        self._let_in = 0  # how many, ever
        self._carriers: list[Carrier[C]] = []

    def board(self, dial: Callable[[], C], log: Callable[[str], None]) -> Carrier[C]:
        """Return a connection through the jump hosts: a new one, or one that is shared.

        :param dial: makes a new one.
        :raises UnreachableError: whatever ``dial`` raises, where none is there that could be shared.
        """
        with self._counted():
            pauses, let_in = iter(_PAUSES), self._let_in
            while True:
                try:
                    with self._turn():
                        return self._new(dial())
                except (HostKeyError, AuthenticationError):
                    raise
                except UnreachableError as error:
                    if shared := self._shared():
                        log(f"{error.brief}; using the existing connection instead, which is slower")
                        return shared
                    if not isinstance(error, DroppedError) or not self._others():
                        raise
                    # sshd counts a login for a moment after it. Who knocks in that moment, each time another one
                    # of ours was let in, would have no try left for when it is free.
                    if self._let_in != let_in:
                        pauses, let_in = iter(_PAUSES), self._let_in
                    if (pause := next(pauses, None)) is None:
                        raise
                    log(f"{error.brief}; logging in one after the other from now on")
                time.sleep(pause * random.uniform(0.8, 1.2))  # not in our turn: that is for who is let in now

    def leave(self, carrier: Carrier[C]) -> None:
        """See :meth:`Carrier.leave`."""
        with self._change:
            carrier.users -= 1
            if carrier.users:
                return
            self._carriers = [one for one in self._carriers if one is not carrier]
        carrier.link.close()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        with self._change:
            self._knocking += 1
        try:
            yield
        finally:
            with self._change:
                self._knocking -= 1

    @contextmanager
    def _turn(self) -> Iterator[None]:
        with self._change:
            self._change.wait_for(lambda: self._entering < self._limit)
            self._entering += 1
        try:
            yield
        finally:
            with self._change:
                self._entering -= 1
                self._change.notify_all()

    def _new(self, link: C) -> Carrier[C]:
        carrier = Carrier(link, self)
        with self._change:
            self._entered = time.monotonic()
            self._let_in += 1
            self._carriers.append(carrier)
        return carrier

    def _shared(self) -> Carrier[C] | None:
        with self._change:
            for carrier in self._carriers:
                if carrier.link.alive:
                    carrier.users += 1
                    return carrier
        return None

    def _others(self) -> bool:
        """Whether others of ours are let in, or try at the same time: then it is their number that is too much."""
        with self._change:
            others = self._knocking > 1 or time.monotonic() - self._entered < _LATELY
            if others:
                self._limit = 1
            return others
