"""Messages that wait for their receivers, each of which has a thread of its own: none holds up a run or another one.

Nothing here raises, and nothing waits but :meth:`Outbox.close`, for seconds that are counted.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Protocol

from ctmupgrade.adapters.notify.errors import NotDeliveredError

MOST = 100  # messages that wait for one receiver; then the oldest goes
STUCK = 20.0  # seconds after which a receiver that still has not taken a message is reported
FLUSH = 5.0  # seconds at the end for a receiver that has taken what came before
FLUSH_LATE = 1.0  # for one that has not


class Sender(Protocol):
    """Brings messages to one receiver."""

    def send(self, payload: bytes) -> None:
        """Send one. :raises NotDeliveredError: it was not taken."""
        ...


@dataclass(slots=True)
class _Lane:
    """One receiver's messages.

    :ivar newest_only: a message makes those that still wait out of date. :ivar trouble: why the latest was not taken; "":
        it was. :ivar lost: how many were not delivered. :ivar busy: since when one is being sent (monotonic).
    """

    name: str
    sender: Sender
    newest_only: bool = False
    waiting: deque[bytes] = field(default_factory=deque)
    changed: threading.Condition = field(default_factory=threading.Condition)
    busy: float | None = None
    trouble: str = ""
    lost: int = 0
    told: bool = False
    begun: bool = False

    def put(self, payload: bytes) -> None:
        with self.changed:
            if self.newest_only:
                self.waiting.clear()
            self.waiting.append(payload)
            if len(self.waiting) > MOST:
                self.waiting.popleft()
                self.lost += 1
            if not self.begun:
                self.begun = True
                threading.Thread(target=self._work, name=f"notify {self.name}", daemon=True).start()
            self.changed.notify_all()

    def _work(self) -> None:
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.waiting)
                payload = self.waiting.popleft()
                self.busy = time.monotonic()
            why = self._sent(payload)
            with self.changed:
                self.busy, self.trouble = None, why
                self.lost += bool(why)
                self.changed.notify_all()

    def _sent(self, payload: bytes) -> str:
        try:
            self.sender.send(payload)
        except NotDeliveredError as error:
            return str(error)
        except Exception as error:  # whatever it is: a run does not end for it
            return f"it cannot be sent: {type(error).__name__}"
        return ""

    @property
    def is_idle(self) -> bool:
        return self.busy is None and not self.waiting

    def late(self, after: float) -> bool:
        """Whether a message has been under way for longer than so many seconds."""
        return self.busy is not None and time.monotonic() - self.busy > after

    def news(self) -> str:
        """What is wrong with it; "" where nothing is, or it was told."""
        with self.changed:
            why = self.trouble or (f"no answer for {STUCK:g} s" if self.late(STUCK) else "")
            if not why or self.told:
                return ""
            self.told = True
        return f"{self.name}: {why}; the run goes on, and this is not said again"

    def drain(self, end: float) -> None:
        """Wait until all is delivered, or ``end`` (monotonic)."""
        with self.changed:
            if not self.is_idle and (self.trouble or self.late(FLUSH_LATE)):
                end -= FLUSH - FLUSH_LATE
            self.changed.wait_for(lambda: self.is_idle, max(0.0, end - time.monotonic()))

    def left(self) -> str:
        """What of it is not delivered at the end; "" where all is, or trouble was told."""
        said = self.news()
        if said or self.told or self.is_idle:
            return said
        count = len(self.waiting) + (self.busy is not None)
        return f"{self.name}: {count} message{'' if count == 1 else 's'} could not be delivered in time"


class Outbox:
    """All receivers of a command. Used by the thread that runs it."""

    def __init__(self) -> None:
        self._lanes: list[_Lane] = []

    def add(self, name: str, sender: Sender, *, newest_only: bool = False) -> int:
        """Take in a receiver; return its number."""
        self._lanes.append(_Lane(name, sender, newest_only))
        return len(self._lanes) - 1

    def put(self, number: int, payload: bytes) -> None:
        """Let a message be sent to a receiver. Returns at once."""
        self._lanes[number].put(payload)

    def trouble(self) -> list[str]:
        """Return what is wrong with receivers, of each once."""
        return [said for lane in self._lanes if (said := lane.news())]

    def close(self, seconds: float = FLUSH) -> list[str]:
        """Wait for what is under way, at most so many seconds; return what is left to say."""
        end = time.monotonic() + seconds
        for lane in self._lanes:
            lane.drain(end)
        return [said for lane in self._lanes if (said := lane.left())]

    def results(self) -> list[tuple[str, str]]:
        """Return each receiver's name and why it has not taken its latest message; "": it has."""
        return [
            (one.name, one.trouble or ("" if one.is_idle else "no answer in time")) for one in self._lanes
        ]
